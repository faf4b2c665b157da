"""The live tasks of a cluster as last read, and how little of them must be read again. Knows nothing of Ray's nodes.

A task only moves forward: it waits, is given to a platform node, executes, ends. So as long as the platform counts as
many tasks at each phase as are known here, none has moved, and nothing is read. A task group whose counts differ is
read: whole while it fits a page, else only what has started and ended since, which must then add up to the platform's
counts, or it is read whole after all.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property, partial

from yellowdog_ray.cluster.terminations import UNSEEN_SECONDS
from yellowdog_ray.platform.calls import PAGE_SIZE
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import Counts, TaskGroupView, TaskPhase, TaskView, WorkRequirementView

FULL_READING_SECONDS = 30.0
"""How long after a reading of all tasks all are read again, even if the counts say that nothing has changed: so long
for each page of them, so that it costs the same whatever the cluster's size. It finds what is in no count, such as an
abort that somebody else has asked for."""

UNSETTLED_SECONDS = 30.0
"""How long a group whose tasks do not add up to its counts is read on every tick; from then on, this often."""

SLACK = timedelta(seconds=2)
"""How far the clocks may be apart that say when the counts have changed and when a task has started or ended."""

Tasks = Mapping[str, TaskView]


@dataclass
class _Group:
    """What is known of a task group.

    Attributes:
        tasks: its live tasks by name, as they were read.
        counts: what the platform counted shortly before, or counts now if nothing has moved since.
        counted_at: since when it has counted so.
        read_at: when the tasks were read.
    """

    tasks: Tasks
    counts: Counts | None
    counted_at: float
    read_at: float

    @cached_property
    def phases(self) -> Counter[TaskPhase]:
        """How many of the tasks are at each phase."""
        return _phases(self.tasks.values())


@dataclass(frozen=True)
class _Added:
    task: TaskView
    at: float


@dataclass(frozen=True)
class _Reading:
    """The live tasks of a group by name, and the names of those that a list has shown just now, ended ones too."""

    tasks: Tasks
    shown: Set[str]


class Listing:
    """The live tasks of one work requirement. One thread updates it; others may add and look meanwhile.

    Args:
        platform: gives the platform.
        monotonic: seconds that never go back.
    """

    def __init__(self, platform: Callable[[], Platform], monotonic: Callable[[], float]) -> None:
        self._platform = platform
        self._monotonic = monotonic
        self._lock = threading.Lock()  # guards what is remembered; never held during a platform call
        self._groups: dict[str, _Group] = {}
        self._added: dict[str, _Added] = {}
        self._all_read_at = float("-inf")

    def tasks(self) -> dict[str, TaskView]:
        """Every live task by name, also those that were added and that no reading shows yet."""
        with self._lock:
            tasks: dict[str, TaskView] = {}
            for group in self._groups.values():
                tasks |= group.tasks
            return tasks | {name: added.task for name, added in self._added.items() if name not in tasks}

    def size(self, group_id: str) -> int:
        """How many live tasks of a group are known."""
        with self._lock:
            group = self._groups.get(group_id)
            return (len(group.tasks) if group else 0) + len(self._unseen(group_id))

    def add(self, tasks: Iterable[TaskView]) -> None:
        """The platform has just accepted these."""
        now = self._monotonic()
        with self._lock:
            self._added |= {task.name: _Added(task, now) for task in tasks}

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._groups, self._added = {}, {}
            self._all_read_at = float("-inf")

    def confirmed(self, requirement_id: str) -> bool:
        """Read all tasks if that is due. Returns whether they are just as known: then nothing else need be read.

        Raises:
            PlatformError: they could not be read.
        """
        now = self._monotonic()
        if not self._groups or not self._is_due(now):
            return False
        if {task.name: task for task in self._platform().live_tasks(requirement_id)} != self.tasks():
            return False
        self._all_read_at = now
        return True

    def update(self, work: WorkRequirementView) -> bool:
        """Read what has changed. Returns whether anything may have.

        Raises:
            PlatformError: something could not be read; then everything stays as it was.
        """
        now = self._monotonic()
        everything = self._is_due(now)
        groups = list(work.groups) if everything else [group for group in work.groups if self._must_read(group, now)]
        readings = self._read_whole(work, groups) if everything else self._read(work, groups)
        with self._lock:
            for group in work.groups:
                if group.id in readings:
                    self._keep(group, readings[group.id], now)
            if len(readings) == len(work.groups):
                self._all_read_at = now
            expired = self._expire(work, now)
        return bool(groups) or expired

    # What must be read

    def _is_due(self, now: float) -> bool:
        tasks = sum(len(group.tasks) for group in self._groups.values())
        return now - self._all_read_at >= FULL_READING_SECONDS * max(1, math.ceil(tasks / PAGE_SIZE))

    def _must_read(self, group: TaskGroupView, now: float) -> bool:
        with self._lock:
            known = self._groups.get(group.id)
            if known is None or known.counts is None or group.counts is None:
                return True
            if self._nothing_moved(group.id, known, group.counts):
                known.counts = group.counts
                return False
            if known.counts.at != group.counts.at:
                return True
        return now - known.counted_at < UNSETTLED_SECONDS or now - known.read_at >= UNSETTLED_SECONDS

    def _nothing_moved(self, group_id: str, known: _Group, counts: Counts) -> bool:
        """Whether what is known of a group explains the platform's counts: then none of its tasks has moved."""
        if known.counts is None or known.counts.ended != counts.ended:
            return False
        phases = known.phases
        if unseen := self._unseen(group_id):
            phases = phases + _phases(unseen.values())
        return _adds_up(phases, counts)

    def _unseen(self, group_id: str) -> dict[str, TaskView]:
        """What was added to a group and is in no reading yet."""
        group = self._groups.get(group_id)
        read: Tasks = group.tasks if group else {}
        added = (entry.task for entry in self._added.values())
        return {task.name: task for task in added if task.group_id == group_id and task.name not in read}

    # Reading

    def _read(self, work: WorkRequirementView, groups: list[TaskGroupView]) -> dict[str, _Reading]:
        """The live tasks of these groups, by group."""
        changes = {group.id: self._read_changes(group) for group in groups}
        whole = self._read_whole(work, [group for group in groups if changes[group.id] is None])
        return {**{group_id: reading for group_id, reading in changes.items() if reading}, **whole}

    def _read_whole(self, work: WorkRequirementView, groups: list[TaskGroupView]) -> dict[str, _Reading]:
        """All live tasks of these groups, and of the others if that is no more calls."""
        if not groups:
            return {}
        platform = self._platform()
        apart = sum(map(_pages, groups)) < sum(map(_count, work.groups)) / PAGE_SIZE
        if apart:
            tasks = [task for group in groups for task in platform.live_group_tasks(group.id)]
        else:
            tasks = platform.live_tasks(work.id)
        found: dict[str, dict[str, TaskView]] = {group.id: {} for group in (groups if apart else work.groups)}
        for task in tasks:
            if task.group_id in found:
                found[task.group_id][task.name] = task
        return {group_id: _Reading(of_group, of_group.keys()) for group_id, of_group in found.items()}

    def _read_changes(self, group: TaskGroupView) -> _Reading | None:
        """The live tasks of a large group, by reading only what has moved; None if that does not work out."""
        known, counts = self._groups.get(group.id), group.counts
        before = known.counts if known else None
        if not (known and before and before.changed and counts and counts.live > PAGE_SIZE):
            return None
        with self._lock:
            tasks = {**known.tasks, **self._unseen(group.id)}
        most = max(PAGE_SIZE, 2 * _differences(_phases(tasks.values()), counts))
        if most >= counts.live:
            return None  # it would be no gain
        shown: set[str] = set()
        platform, since = self._platform(), before.changed - SLACK
        reads = [
            *([partial(platform.ended_tasks, group.id, since, most)] if counts.ended != before.ended else []),
            partial(platform.started_tasks, group.id, since, most),
            partial(platform.allocated_tasks, group.id, most),
        ]
        for read in reads:
            for task in read():
                shown.add(task.name)
                if task.finished:
                    tasks.pop(task.name, None)
                else:
                    tasks[task.name] = task
            if _adds_up(_phases(tasks.values()), counts):
                return _Reading(tasks, shown)
        return None

    # Remembering

    def _keep(self, group: TaskGroupView, reading: _Reading, now: float) -> None:
        before = self._groups.get(group.id)
        same = before and before.counts and group.counts and before.counts.at == group.counts.at
        since = before.counted_at if before and same else now
        self._groups[group.id] = _Group(reading.tasks, group.counts, since, now)
        for name in reading.shown & self._added.keys():
            del self._added[name]

    def _expire(self, work: WorkRequirementView, now: float) -> bool:
        """Give up what no reading has shown for long; but keep it where the platform's counts speak for it."""
        expired = {name for name, added in self._added.items() if now - added.at >= UNSEEN_SECONDS}
        if not expired:
            return False
        for group in work.groups:
            known = self._groups.get(group.id)
            if known and group.counts and self._nothing_moved(group.id, known, group.counts):
                self._groups[group.id] = replace(known, tasks={**known.tasks, **self._unseen(group.id)})
        self._added = {name: added for name, added in self._added.items() if name not in expired}
        return True


def _phases(tasks: Iterable[TaskView]) -> Counter[TaskPhase]:
    return Counter(task.phase for task in tasks)


def _differences(phases: Counter[TaskPhase], counts: Counts) -> int:
    """By how many tasks the phases differ from the counts; one that has moved on makes a difference at two."""
    return sum(abs(phases[phase] - counts.at.get(phase, 0)) for phase in TaskPhase if phase is not TaskPhase.ENDED)


def _adds_up(phases: Counter[TaskPhase], counts: Counts) -> bool:
    return _differences(phases, counts) == 0


def _count(group: TaskGroupView) -> int:
    return group.counts.live if group.counts else 1


def _pages(group: TaskGroupView) -> int:
    return max(1, math.ceil(_count(group) / PAGE_SIZE))
