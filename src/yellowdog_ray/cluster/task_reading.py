"""Lists of tasks: the tasks that they show, and whether these explain the platform's counts. No I/O.

A list may repeat a task, lag behind, or contain copies of a task.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from yellowdog_ray.errors import MalformedResponse
from yellowdog_ray.platform.calls import PAGE_SIZE
from yellowdog_ray.platform.errors import malformed
from yellowdog_ray.platform.types import Counts, TaskGroupView, TaskPhase, TaskView

logger = logging.getLogger(__name__)

NOT_FOUND = "NOT_FOUND"
"""The status of a task that is not found by its id. `EndedTasks` does not store it: a list may show it again."""

Tasks = Mapping[str, TaskView]
"""Tasks by id. Names are no key: a task that was copied in the portal may have another's."""

_ORDER = tuple(TaskPhase)


class OtherIdentity(MalformedResponse):
    """A list gives a known node another identity.

    Attributes:
        listed: the node's task in that list.
    """

    def __init__(self, before: TaskView, listed: TaskView) -> None:
        error = malformed(f"task {before.id}, node '{before.name}', with another name, tags or group: '{listed.name}'")
        super().__init__(str(error))
        self.listed = listed


@dataclass
class Reading:
    """The tasks of a task group: those known before, and those that lists have shown.

    Attributes:
        known: the live tasks before.
        seen: the tasks that they have shown, by id, ended ones too.
        whole: whether one of the lists was that of all live tasks.
    """

    known: Tasks = field(default_factory=dict)
    seen: dict[str, TaskView] = field(default_factory=dict)
    whole: bool = False

    def show(self, tasks: Iterable[TaskView]) -> None:
        """Add what a list shows; of a task that is shown twice, the later phase.

        Raises:
            OtherIdentity: the list gives a known node another identity. If RayDog accepted it, it would end that node.
        """
        for task in tasks:
            before = self.known.get(task.id)
            if before is not None and not is_same(before, task):
                raise OtherIdentity(before, task)
            shown = self.seen.get(task.id)
            self.seen[task.id] = task if shown is None else later(shown, task)


class Copies:
    """Logs each task once that is no node of ours: copied, or added by hand. It is never listed as a node."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def warn_of(self, tasks: Tasks) -> None:
        """Log the copies among all live tasks that were not logged before."""
        named = originals(tasks)
        copies = [task for task in tasks.values() if not task.tags or named[task.name] is not task]
        for task in copies:
            if task.id not in self._warned:
                logger.warning(
                    "task '%s' (%s) has no node's identity, so Ray does not use it, and it runs until `ray down`. If "
                    "somebody copied it or added it by hand, they may abort it in the YellowDog portal",
                    task.name,
                    task.id,
                )
        self._warned = {task.id for task in copies}


def is_same(known: TaskView, task: TaskView) -> bool:
    """Whether a view of a task leaves its identity as it is known. A task that was no node may become one."""
    if known.id != task.id or (known.tags and known.name != task.name):
        return False
    # A list of ended tasks may omit their environment, which has the tags.
    return not known.tags or task.finished or (known.tags, known.group_id) == (task.tags, task.group_id)


def originals(tasks: Tasks) -> dict[str, TaskView]:
    """The tasks by name; of several with one name, the one that the others were copied from."""
    named: dict[str, TaskView] = {}
    for task in tasks.values():
        other = named.get(task.name)
        named[task.name] = task if other is None else min(task, other, key=_originality)
    return named


def phases(tasks: Iterable[TaskView]) -> Counter[TaskPhase]:
    """How many tasks are in each phase."""
    return Counter(task.phase for task in tasks)


def differences(found: Counter[TaskPhase], counts: Counts) -> int:
    """By how many tasks these phases differ from the counts; one that has moved on makes a difference at two."""
    return sum(abs(found[phase] - counts.at.get(phase, 0)) for phase in TaskPhase if phase is not TaskPhase.ENDED)


def adds_up(found: Counter[TaskPhase], counts: Counts) -> bool:
    """Whether the platform counts as many live tasks in each phase."""
    return differences(found, counts) == 0


def explains(tasks: Tasks, counts: Counts | None) -> bool:
    """Whether these are as many tasks in each phase as the platform counts; False if it gives no counts."""
    return counts is not None and adds_up(phases(tasks.values()), counts)


def merged(known: Tasks, reading: Reading, ended_before: Set[str], counts: Counts | None) -> dict[str, TaskView]:
    """The live tasks of a group: the known ones that were not seen ended, and those that were seen alive.

    Args:
        known: the live tasks before.
        reading: what lists have shown since.
        ended_before: ids of tasks that were seen ended earlier.
        counts: the platform's counts.
    """
    ended = {id_ for id_, task in reading.seen.items() if task.finished}
    alive = {id_: task for id_, task in reading.seen.items() if not task.finished and id_ not in ended_before}
    tasks = {id_: task for id_, task in {**known, **alive}.items() if id_ not in ended}
    if explains(tasks, counts):
        return tasks
    # A list may lag: a task does not go back a phase unless the counts agree.
    return {id_: later(known.get(id_, task), task) for id_, task in tasks.items()}


def count(group: TaskGroupView) -> int:
    """How many live tasks a list of this group would show; one where the platform gives no counts."""
    return group.counts.live if group.counts else 1


def pages(group: TaskGroupView) -> int:
    """How many calls a list of this group's live tasks takes."""
    return max(1, math.ceil(count(group) / PAGE_SIZE))


def later(task: TaskView, newer: TaskView) -> TaskView:
    """Of two views of a task, the one in the later phase, or the newer."""
    return task if _ORDER.index(task.phase) > _ORDER.index(newer.phase) else newer


def _originality(task: TaskView) -> tuple[bool, list[tuple[int, str]]]:
    """Smallest for the task of a name that the others were copied from: ids are numbered."""
    return not task.tags, [(len(part), part) for part in task.id.split(":")]
