"""Judges the first listing of a process: complete by the platform's counts, and consistent in itself.

A later listing is compared with what is known. Until a second whole reading has confirmed the first, either may be the
wrong one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from ray.autoscaler.tags import NODE_KIND_HEAD, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

from yellowdog_ray.cluster.task_reading import Tasks, is_same
from yellowdog_ray.errors import NotFound, PlatformError, Unavailable
from yellowdog_ray.names import HEAD_GROUP, is_group_of
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import MAX_CONCURRENT_CALLS, run_concurrently
from yellowdog_ray.platform.types import TaskView, WorkRequirementView

logger = logging.getLogger(__name__)


class FirstReading:
    """The first listing of one work requirement. Only the thread that reads uses it.

    Args:
        platform: the platform.
        monotonic: seconds that never go back.
        limit: seconds for which the listing may be incomplete. After that it is accepted.
    """

    def __init__(self, platform: Platform, monotonic: Callable[[], float], limit: float) -> None:
        self._platform = platform
        self._monotonic = monotonic
        self._limit = limit
        self._began: float | None = None
        self._requested: set[str] = set()
        self._doubtful = 0
        self.is_accepted = False
        self.is_confirmed = False

    def corrections(self, work: WorkRequirementView, tasks: Tasks) -> list[TaskView]:
        """Request each task by its id whose identity contradicts itself or its task group, a few at a time.

        A copy of a task contradicts itself too; the answer about it is the same.

        Returns:
            The answers that give a task another identity than the list.
        """
        groups = {group.id: group.name for group in work.groups}
        doubtful = [task for task in tasks.values() if task.id not in self._requested and _contradicts(task, groups)]
        some = doubtful[:MAX_CONCURRENT_CALLS]
        answers = dict(zip((task.id for task in some), run_concurrently(self._request, some), strict=True))
        answered = {id_: answer for id_, answer in answers.items() if answer is not None}
        self._requested |= answered.keys()
        self._doubtful = len(doubtful) - len(answered)
        return [answer for id_, answer in answered.items() if answer != tasks[id_]]

    def outvoted(self, listed: TaskView) -> list[TaskView]:
        """A known task's view in a list, if that list contradicts the first one and the task's own answer agrees."""
        if self.is_confirmed:
            return []
        found = self._request(listed)
        if found is None or not (is_same(listed, found) and is_same(found, listed)):
            return []
        logger.warning("The first list gave task %s another identity than its answer does: '%s'", found.id, found.name)
        return [found]

    def accept(self, work: WorkRequirementView, size: Callable[[str], int]) -> None:
        """Accept the listing once it has every task that the platform counts, each with an identity beyond doubt.

        Args:
            work: the work requirement, as it was read before the tasks.
            size: how many live tasks of a group are known.

        Raises:
            Unavailable: not yet; what was read is kept, and the next reading adds to it.
        """
        now = self._monotonic()
        if self._began is None:
            self._began = now
        lacked = _lacking(work, size)
        if lacked:
            # Tasks that have ended between the counting and the list are not lacking.
            lacked = _lacking(self._platform.work_requirement(work.id), size)
        is_late = now - self._began >= self._limit
        if lacked and not is_late:
            raise Unavailable(f"YellowDog's list of tasks lacks {lacked} of those that it counts: no listing yet")
        if self._doubtful and not is_late:
            raise Unavailable(f"YellowDog's list of tasks contradicts itself about {self._doubtful}: no listing yet")
        if lacked or self._doubtful:
            logger.warning(
                "YellowDog counts %d more task(s) than its lists have shown for %.0f s, and they contradict themselves "
                "about %d. The lists are accepted",
                lacked,
                self._limit,
                self._doubtful,
            )
        self.is_accepted = True

    def _request(self, task: TaskView) -> TaskView | None:
        """A task's own answer; None if there is none, for whatever reason."""
        try:
            return self._platform.task(task.id)
        except NotFound:
            return task  # the counts decide
        except PlatformError as error:
            logger.debug("task %s could not be looked up: %s", task.id, error)
            return None


def _lacking(work: WorkRequirementView, size: Callable[[str], int]) -> int:
    return sum(max(0, group.counts.live - size(group.id)) for group in work.groups if group.counts)


def _contradicts(task: TaskView, groups: Mapping[str, str]) -> bool:
    """Whether a task's view contradicts itself, or its task group.

    Args:
        task: the view. Without tags its name is not that of its environment.
        groups: names of the task groups by id.
    """
    if not task.tags:
        return True
    group = groups.get(task.group_id, "")
    if (task.tags.get(TAG_RAY_NODE_KIND) == NODE_KIND_HEAD) is not (group == HEAD_GROUP):
        return True
    node_type = task.tags.get(TAG_RAY_USER_NODE_TYPE)
    return group != HEAD_GROUP and node_type is not None and not is_group_of(group, node_type)
