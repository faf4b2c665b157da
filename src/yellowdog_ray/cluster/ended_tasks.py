"""The tasks that were seen ended: so that no lagging list revives one, and each is reported once. Makes no call."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set

from yellowdog_ray.cluster.task_reading import NOT_FOUND
from yellowdog_ray.platform.calls import PAGE_SIZE
from yellowdog_ray.platform.types import TaskView

ENDED_SECONDS = 600.0
"""How long a task that was seen ended is kept, so that a list that lags does not revive it."""


class EndedTasks:
    """Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self._seen_at: dict[str, float] = {}
        self._new: deque[TaskView] = deque(maxlen=PAGE_SIZE)

    @property
    def ids(self) -> Set[str]:
        """Ids of the tasks that are recorded as ended."""
        return self._seen_at.keys()

    def observe(self, tasks: Iterable[TaskView], now: float) -> None:
        """Record those of these tasks that have ended.

        One that is only not found is reported too, since a platform may remove a task as soon as it has ended. It is
        not recorded: a list may show it again.
        """
        for task in tasks:
            if not task.finished:
                continue
            if task.id not in self._seen_at:
                self._new.append(task)
            if task.status != NOT_FOUND:
                self._seen_at[task.id] = now

    def take(self) -> list[TaskView]:
        """The tasks that were seen ended since the last call; of very many, the last ones."""
        taken = list(self._new)
        self._new.clear()
        return taken

    def expire(self, now: float) -> None:
        """Delete tasks that were last seen more than `ENDED_SECONDS` ago."""
        if any(now - at >= ENDED_SECONDS for at in self._seen_at.values()):
            self._seen_at = {id_: at for id_, at in self._seen_at.items() if now - at < ENDED_SECONDS}
