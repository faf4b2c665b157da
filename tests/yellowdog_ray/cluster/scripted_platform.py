"""A platform whose truth a test sets, and whose lists and counts are then distorted. Makes no HTTP call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from yellowdog_ray.cluster.task_cache import FIRST_READING_SECONDS, FULL_READING_SECONDS, TaskCache
from yellowdog_ray.errors import NotFound, Unavailable
from yellowdog_ray.platform.types import (
    Counts,
    Placement,
    TaskGroupView,
    TaskView,
    WorkRequirementView,
    phase_of,
)

GROUP = "ydid:taskgrp:000000:1:1"
WORK = "ydid:workreq:000000:1"
START = datetime(2026, 1, 1, tzinfo=timezone.utc)

Tasks = list[TaskView]
Distortion = Callable[[Tasks], Tasks]


def honest(tasks: Tasks) -> Tasks:
    """A list as it should be."""
    return tasks


def task_id(name: str) -> str:
    """The id of the task with this name."""
    return f"ydid:task:000000:1:1:{name}"


def task(name: str, status: str = "EXECUTING", **changes: object) -> TaskView:
    """A task that is a node of ours, unless `tags` say otherwise."""
    view = TaskView(
        id=task_id(name),
        name=name,
        group_id=GROUP,
        executing=status == "EXECUTING",
        finished=phase_of(status).value == "ended",
        status=status,
        abort_requested=False,
        platform_node_id=None,
        tags={"ray-node-type": "worker"},
    )
    return replace(view, **changes)  # type: ignore[arg-type]


@dataclass
class ScriptedPlatform:
    """One task group.

    Attributes:
        truth: every task, ended ones too, by id.
        live_list: distorts the lists of live tasks.
        change_list: distorts the lists of ended, started and allocated tasks.
        counted: the tasks that the counts show instead of the truth, if they lag.
        counts_missing: whether the platform gives no counts.
        unreachable: ids whose look-up fails.
        calls: every call.
        changes: how often the truth has changed; the counts show it as a time.
        empty_groups: ids of task groups without tasks, which the work requirement shows before that of the tasks.
    """

    truth: dict[str, TaskView] = field(default_factory=dict)
    live_list: Distortion = honest
    change_list: Distortion = honest
    counted: Tasks | None = None
    counts_missing: bool = False
    unreachable: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    changes: int = 0
    empty_groups: tuple[str, ...] = ()

    def put(self, *tasks: TaskView) -> None:
        """Set the truth of tasks."""
        self.truth |= {one.id: one for one in tasks}
        self.changes += 1

    def end(self, *names: str, status: str = "FAILED") -> None:
        """End tasks."""
        self.put(*(task(name, status) for name in names))

    def work(self) -> WorkRequirementView:
        """The work requirement as it is read at this moment. Not counted as a call."""
        shown = self.counted if self.counted is not None else list(self.truth.values())
        at = Counter(one.phase for one in shown)
        counts = None if self.counts_missing else Counts(at, START + timedelta(seconds=self.changes))
        placement = Placement(("tag",), ("ns",))
        empty = [TaskGroupView(id_, id_, "tag", None, Counts(Counter(), START), placement) for id_ in self.empty_groups]
        group = TaskGroupView(GROUP, "cpu-0a1b2c", "tag", None, counts, placement)
        return WorkRequirementView(WORK, "demo", "RUNNING", False, False, START, (*empty, group))

    def work_requirement(self, _: str) -> WorkRequirementView:
        """The work requirement."""
        self.calls.append("work")
        return self.work()

    def live_tasks(self, _: str) -> Tasks:
        """Every live task, distorted."""
        self.calls.append("live")
        return self.live_list(self._where(lambda one: not one.finished))

    live_group_tasks = live_tasks

    def ended_tasks(self, *_: object) -> Tasks:
        """Every ended task, distorted; of any time."""
        self.calls.append("ended")
        return self.change_list(self._where(lambda one: one.finished))

    def started_tasks(self, *_: object) -> Tasks:
        """Every executing task, distorted; of any time."""
        self.calls.append("started")
        return self.change_list(self._where(lambda one: one.executing))

    def allocated_tasks(self, *_: object) -> Tasks:
        """Every allocated task, distorted."""
        self.calls.append("allocated")
        return self.change_list(self._where(lambda one: one.status == "ALLOCATED"))

    def task(self, id_: str) -> TaskView:
        """One task: always the truth."""
        self.calls.append(f"task {id_.rpartition(':')[2]}")
        if id_ in self.unreachable:
            raise Unavailable(id_)
        if id_ not in self.truth:
            raise NotFound(id_)
        return self.truth[id_]

    def _where(self, fits: Callable[[TaskView], bool]) -> Tasks:
        return [one for one in self.truth.values() if fits(one)]

    def live_names(self) -> set[str]:
        """Names of the tasks that live."""
        return {one.name for one in self.truth.values() if not one.finished}


def without(*names: str) -> Distortion:
    """A list that skips these."""
    return lambda tasks: [one for one in tasks if one.name not in names]


def showing(stale: Iterable[TaskView]) -> Distortion:
    """A list that lags: it shows what was."""
    shown = list(stale)
    return lambda _: shown


def renaming(name: str, changes: dict[str, object]) -> Distortion:
    """A list that gives a task another identity."""
    return lambda tasks: [replace(one, **changes) if one.name == name else one for one in tasks]


TICK_SECONDS = 5.0


class Reader:
    """Reads a scripted platform as a cluster does on the head."""

    def __init__(self, platform: ScriptedPlatform) -> None:
        self.platform = platform
        self.now = 1000.0
        self.cache = TaskCache(platform, lambda: self.now, FIRST_READING_SECONDS)  # type: ignore[arg-type]

    def tick(self) -> list[str]:
        """Read once. Returns the calls."""
        self.now += TICK_SECONDS
        self.platform.calls.clear()
        if not self.cache.confirmed(WORK):
            self.platform.calls.append("work")
            self.cache.update(self.platform.work())
        return list(self.platform.calls)

    @property
    def names(self) -> set[str]:
        """Names of the tasks that are listed."""
        return set(self.cache.tasks())

    def wait_for_full_reading(self) -> None:
        """Let time pass until all tasks are due."""
        self.now += FULL_READING_SECONDS
