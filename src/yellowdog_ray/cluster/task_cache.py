"""The live tasks of a cluster as last read, proven complete, and which tasks must be read again.

Independent of Ray's nodes.

A task only moves forward: it waits, gets a platform node, executes, ends. While the platform counts as many tasks in
each phase as are known, none has moved and nothing is read. A task group whose counts differ is read: first the tasks
that have ended since, then, for a large group, those that have started. If these do not explain the counts, the whole
list is read.

No list is trusted to be complete: it may skip, repeat, lag, or change between its pages. So a task disappears only when
it is reported as ended, or is requested by its id and has ended or is not found. A first reading that lacks tasks that
the platform counts is no listing.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from yellowdog_ray.cluster.ended_tasks import EndedTasks
from yellowdog_ray.cluster.first_reading import FirstReading
from yellowdog_ray.cluster.known_group import KnownGroup
from yellowdog_ray.cluster.task_reading import (
    NOT_FOUND,
    Copies,
    OtherIdentity,
    Reading,
    Tasks,
    adds_up,
    count,
    differences,
    explains,
    is_same,
    merged,
    originals,
    pages,
    phases,
)
from yellowdog_ray.cluster.terminations import UNSEEN_SECONDS
from yellowdog_ray.errors import NotFound, PlatformError
from yellowdog_ray.platform.calls import PAGE_SIZE
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import MAX_CONCURRENT_CALLS, run_concurrently
from yellowdog_ray.platform.types import Counts, TaskGroupView, TaskView, WorkRequirementView

logger = logging.getLogger(__name__)

FULL_READING_SECONDS = 30.0
"""The time between two readings of all tasks, per page of them, so that it costs the same at any size. They show
what no count shows, such as an abort by another user."""

UNEXPLAINED_SECONDS = 30.0
"""How long a group whose tasks do not explain its counts is read on every tick; from then on, this often."""

FIRST_READING_SECONDS = 25.0
"""How long a first reading may lack tasks that the platform counts. After that the lists are accepted: other counts
must not stop a cluster for good. Shorter than the time for which a command retries."""

HEAD_FIRST_READING_SECONDS = 300.0
"""The same on the head: Ray terminates nodes that a listing lacks, and every tick reads again anyway."""

MAX_LOOKUPS = MAX_CONCURRENT_CALLS
"""Tasks requested by id per reading: one round of concurrent calls."""

SLACK = timedelta(seconds=2)
"""How far the clocks may be apart that show when the counts have changed and when a task has started or ended."""


@dataclass(frozen=True)
class _Added:
    task: TaskView
    at: float


class TaskCache:
    """The live tasks of one work requirement. One thread updates it; others may add and read meanwhile.

    Args:
        platform: the platform.
        monotonic: seconds that never go back.
        limit: seconds for which a first reading may lack tasks that the platform counts.
    """

    def __init__(self, platform: Platform, monotonic: Callable[[], float], limit: float) -> None:
        self._platform = platform
        self._monotonic = monotonic
        self._limit = limit
        self._lock = threading.RLock()  # guards the tasks; never held during a platform call
        self.clear()

    def clear(self) -> None:
        """Delete everything."""
        with self._lock:
            self._groups: dict[str, KnownGroup] = {}
            self._added: dict[str, _Added] = {}
            self._ended = EndedTasks()
            self._copies = Copies()
            self._all_read_at = float("-inf")
            self._first = FirstReading(self._platform, self._monotonic, self._limit)
            self._is_corrected = False

    def tasks(self) -> dict[str, TaskView]:
        """Every live task by name, with submitted ones that no list shows yet; of copies, the original."""
        return originals(self._all())

    def size(self, group_id: str) -> int:
        """How many live tasks of a group are known."""
        with self._lock:
            group = self._groups.get(group_id)
            return (len(group.tasks) if group else 0) + len(self._unseen(group_id))

    def add(self, tasks: Collection[TaskView]) -> None:
        """The platform has just accepted these; one may have ended since."""
        now = self._monotonic()
        with self._lock:
            self._ended.observe(tasks, now)
            self._added |= {task.id: _Added(task, now) for task in tasks if not task.finished}

    def take_ended(self) -> list[TaskView]:
        """The tasks that were seen ended since the last call."""
        with self._lock:
            return self._ended.take()

    def confirmed(self, requirement_id: str) -> bool:
        """Read all tasks if that is due. Returns whether they are just as known: then nothing else need be read.

        Raises:
            PlatformError: they could not be read.
        """
        now = self._monotonic()
        if self._is_corrected or not self._groups or not self._is_due(now) or not self._all_explained():
            return False
        reading = Reading(self._all())
        with self._reconsidering():
            reading.show(self._platform.live_tasks(requirement_id))
        is_unchanged = reading.seen == self._all()
        self._all_read_at = now if is_unchanged else self._all_read_at
        self._first.is_confirmed |= is_unchanged
        return is_unchanged

    def update(self, work: WorkRequirementView) -> bool:
        """Read what has changed. Returns whether anything may have.

        Raises:
            PlatformError: something could not be read, and everything stays as it was; or the first listing is not
                complete yet.
        """
        now = self._monotonic()
        everything = self._is_due(now)
        groups = [group for group in work.groups if self._must_read(group, now) or everything]
        with self._reconsidering():
            readings = self._read(work, groups, everything=everything)
        looked_up = self._look_up(work, readings, now)
        with self._lock:
            for group in work.groups:
                self._keep(group, readings.get(group.id), looked_up, now)
            self._list_unseen(work, now)
            self._ended.expire(now)
            if all(group.id in readings and readings[group.id].whole for group in work.groups):
                self._all_read_at = now
                self._first.is_confirmed |= self._first.is_accepted
        if not self._first.is_accepted:
            self._correct(self._first.corrections(work, self._all()))
        if groups or looked_up:
            self._copies.warn_of(self._all())
        if not self._first.is_accepted:
            self._first.accept(work, self.size)
        may_differ = bool(groups or looked_up or self._is_corrected)
        self._is_corrected = False
        return may_differ

    # Selection of what to read

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
        return now - known.counted_at < UNEXPLAINED_SECONDS or now - known.read_at >= UNEXPLAINED_SECONDS

    def _nothing_moved(self, group_id: str, known: KnownGroup, counts: Counts) -> bool:
        """Whether what is known of a group explains the platform's counts: then none of its tasks has moved."""
        if known.counts is None or known.counts.ended != counts.ended:
            return False
        return adds_up(known.phases + phases(self._unseen(group_id).values()), counts)

    def _unseen(self, group_id: str) -> dict[str, TaskView]:
        """The added tasks of a group that no list has shown yet."""
        group = self._groups.get(group_id)
        read: Tasks = group.tasks if group else {}
        added = (entry.task for entry in self._added.values())
        return {task.id: task for task in added if task.group_id == group_id and task.id not in read}

    def _known(self, group_id: str) -> dict[str, TaskView]:
        """Every live task of a group, added ones included."""
        with self._lock:
            group = self._groups.get(group_id)
            return {**(group.tasks if group else {}), **self._unseen(group_id)}

    def _all(self) -> dict[str, TaskView]:
        with self._lock:
            tasks = {task_id: added.task for task_id, added in self._added.items()}
            for group in self._groups.values():
                tasks |= group.tasks
            return tasks

    # Reading

    def _read(self, work: WorkRequirementView, groups: list[TaskGroupView], *, everything: bool) -> dict[str, Reading]:
        """Read the changes of these groups, and whole lists where the changes do not explain the counts."""
        readings = {group.id: self._read_changes(group) for group in groups}
        unexplained = [
            group
            for group in groups
            if everything or not explains(self._merged(group, readings[group.id]), group.counts)
        ]
        if unexplained:
            for group_id, tasks in self._read_whole(work, unexplained).items():
                reading = readings.setdefault(group_id, Reading(self._known(group_id)))
                reading.whole = True
                reading.show(tasks)
        return readings

    def _read_whole(self, work: WorkRequirementView, groups: list[TaskGroupView]) -> dict[str, list[TaskView]]:
        """The lists of live tasks of these groups, and of the others if that is no more calls."""
        if sum(map(pages, groups)) < sum(map(count, work.groups)) / PAGE_SIZE:
            return {group.id: self._platform.live_group_tasks(group.id) for group in groups}
        found: dict[str, list[TaskView]] = {group.id: [] for group in work.groups}
        for task in self._platform.live_tasks(work.id):
            if task.group_id in found:
                found[task.group_id].append(task)
        return found

    def _read_changes(self, group: TaskGroupView) -> Reading:
        """The tasks of a group that have moved, until they explain its counts."""
        reading = Reading(self._known(group.id))
        for read in self._change_lists(group):
            reading.show(read())
            if explains(self._merged(group, reading), group.counts):
                break
        return reading

    def _change_lists(self, group: TaskGroupView) -> list[Callable[[], list[TaskView]]]:
        """The lists that show what has moved in a group; none where the whole list costs no more."""
        known, counts = self._groups.get(group.id), group.counts
        before = known.counts if known else None
        if counts is None or before is None or before.changed is None:
            return []
        since = before.changed - SLACK
        lists: list[Callable[[], list[TaskView]]] = []
        if (newly_ended := counts.ended - before.ended) > 0:
            lists.append(partial(self._platform.ended_tasks, group.id, since, max(PAGE_SIZE, 2 * newly_ended)))
        if counts.live <= PAGE_SIZE:
            return lists
        most = max(PAGE_SIZE, 2 * differences(phases(self._known(group.id).values()), counts))
        if most >= counts.live:
            return []
        return [
            *lists,
            partial(self._platform.started_tasks, group.id, since, most),
            partial(self._platform.allocated_tasks, group.id, most),
        ]

    # Merging new views with earlier ones

    def _merged(self, group: TaskGroupView, reading: Reading) -> dict[str, TaskView]:
        """The live tasks of a group: known ones that were not seen ended, and those that were seen alive."""
        return merged(self._known(group.id), reading, self._ended.ids, group.counts)

    def _look_up(self, work: WorkRequirementView, readings: Mapping[str, Reading], now: float) -> dict[str, TaskView]:
        """Request tasks by their ids that lists lack, a few at a time. Those not found are returned as finished."""
        candidates: dict[str, TaskView] = {}
        for group in work.groups:
            reading = readings.get(group.id, Reading())
            if wanted := self._missing(group, reading) | self._doubtful(group, reading, now):
                tasks = self._merged(group, reading)
                candidates |= {id_: task for id_, task in tasks.items() if id_ in wanted}
        some = list(candidates.values())[:MAX_LOOKUPS]
        answers = run_concurrently(self._look_up_one, some)
        return {task.id: answer for task, answer in zip(some, answers, strict=True) if answer is not None}

    def _look_up_one(self, task: TaskView) -> TaskView | None:
        """The task's present state; None if there was no answer, and it is requested again."""
        try:
            found = self._platform.task(task.id)
        except NotFound:
            return replace(task, status=NOT_FOUND, executing=False, finished=True)
        except PlatformError as error:
            logger.debug("task %s could not be looked up: %s", task.id, error)
            return None
        return found if is_same(task, found) else None

    def _missing(self, group: TaskGroupView, reading: Reading) -> frozenset[str]:
        """Ids of the tasks of a group that were listed before, and that the last whole list lacks."""
        known = self._groups.get(group.id)
        if known is None:
            return frozenset()
        lacking = known.tasks.keys() if reading.whole else known.missing
        return frozenset(lacking) - reading.seen.keys()

    def _doubtful(self, group: TaskGroupView, reading: Reading, now: float) -> frozenset[str]:
        """Ids of added tasks that no list shows and that may have ended: the counts do not explain them."""
        unseen = self._unseen(group.id).keys() - reading.seen.keys()
        if not unseen or explains(self._merged(group, reading), group.counts):
            return frozenset()
        known = self._groups.get(group.id)
        before = known.counts if known else None
        has_ended = group.counts is not None and group.counts.ended > (before.ended if before else 0)
        return frozenset(id_ for id_ in unseen if has_ended or now - self._added[id_].at >= UNSEEN_SECONDS)

    # Storing the result

    def _keep(
        self, group: TaskGroupView, reading: Reading | None, looked_up: Mapping[str, TaskView], now: float
    ) -> None:
        before = self._groups.get(group.id)
        looked_up = {id_: task for id_, task in looked_up.items() if task.group_id == group.id}
        if before and not reading and not looked_up:
            return
        shown = {**(reading.seen if reading else {}), **looked_up}
        self._ended.observe(shown.values(), now)
        tasks = self._merged(group, reading or Reading())
        tasks = {id_: task for id_, task in (tasks | looked_up).items() if id_ in tasks and not task.finished}
        missing = self._missing(group, reading or Reading()) - looked_up.keys()
        listed = {id_: task for id_, task in tasks.items() if id_ in shown or id_ not in self._added}
        if before and not reading:
            self._groups[group.id] = replace(before, tasks=listed, missing=missing)
        else:
            same = before and before.counts and group.counts and before.counts.at == group.counts.at
            since = before.counted_at if before and same else now
            self._groups[group.id] = KnownGroup(listed, group.counts, since, now, missing)
        for id_ in shown.keys() & self._added.keys():
            del self._added[id_]

    def _list_unseen(self, work: WorkRequirementView, now: float) -> None:
        """Take added tasks for listed that no list has shown for long, where the platform's counts explain them."""
        for group in work.groups:
            known, unseen = self._groups.get(group.id), self._unseen(group.id)
            old = {id_ for id_ in unseen if now - self._added[id_].at >= UNSEEN_SECONDS}
            if old and known and group.counts and self._nothing_moved(group.id, known, group.counts):
                self._groups[group.id] = replace(known, tasks={**known.tasks, **unseen})
                for id_ in unseen:
                    del self._added[id_]

    # Judging what was read

    def _all_explained(self) -> bool:
        return all(explains(self._known(group_id), group.counts) for group_id, group in self._groups.items())

    @contextlib.contextmanager
    def _reconsidering(self) -> Iterator[None]:
        """Correct what only the first list has shown, if another list and the task's own answer contradict it."""
        try:
            yield
        except OtherIdentity as error:
            self._correct(self._first.outvoted(error.listed))
            raise

    def _correct(self, tasks: Collection[TaskView]) -> None:
        """Replace the known views of these tasks, which may belong to another group than was known."""
        with self._lock:
            self._is_corrected |= bool(tasks)
            ids = {task.id for task in tasks}
            for id_, group in self._groups.items():
                others = {other: task for other, task in group.tasks.items() if other not in ids}
                right = {task.id: task for task in tasks if task.group_id == id_ and not task.finished}
                self._groups[id_] = replace(group, tasks={**others, **right})
