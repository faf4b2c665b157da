"""The changes of nodes' tasks between two readings: `raydog logs --follow`. Waits for nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from yellowdog_ray.inventory.events import NodeLog, by_time, read_logs
from yellowdog_ray.inventory.target import Found


@dataclass(frozen=True)
class Change:
    """News of one node.

    Attributes:
        time: when, by YellowDog; None if it does not show it.
    """

    time: datetime | None
    node: str
    node_type: str
    text: str


class Follower:
    """Reads the tasks of a cluster again and again.

    Args:
        found: the cluster.
        node: the only node to follow, or None for all.

    Attributes:
        logs: the last reading.
        ended: whether nothing can follow: the node's task has ended, or the cluster.
    """

    def __init__(self, found: Found, node: str | None) -> None:
        self._found = found
        self._node = node
        self.logs: Sequence[NodeLog] = self._read()
        self.ended = self._has_ended()

    def changes(self) -> list[Change]:
        """Read again: the calls of `read_logs`, and one. Returns the news, oldest first.

        Raises:
            PlatformError: a call failed; the next reading also has the news of this one.
        """
        before = {log.task_id: log for log in self.logs}
        work = self._found.platform.work_requirement(self._found.work.id)
        logs = self._read()
        self._found = replace(self._found, work=work)
        self.logs = logs
        self.ended = self._has_ended()
        news = [change for log in logs for change in _between(before.get(log.task_id), log)]
        return sorted(news, key=lambda change: by_time(change.time))

    def _read(self) -> list[NodeLog]:
        return [log for log in read_logs(self._found) if self._node in (None, log.node)]

    def _has_ended(self) -> bool:
        if self._found.work.finished:
            return True
        return self._node is not None and bool(self.logs) and all(log.ended for log in self.logs)


def _between(before: NodeLog | None, log: NodeLog) -> Iterator[Change]:
    def change(time: datetime | None, text: str) -> Change:
        return Change(time, log.node, log.node_type, text)

    if before is None and log.started is None:
        yield change(None, "its task waits")
    if log.started and (before is None or before.started is None):
        yield change(log.started, "its task started")
    for time, text in log.errors[len(before.errors) if before else 0 :]:
        yield change(time, f"error: {text}")
    if log.ended and (before is None or before.ended is None):
        yield change(log.ended, f"its task ended: {log.status.lower()}")
