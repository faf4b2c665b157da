"""What the platform shows of a head, and whether it is replaced."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from yellowdog_ray.carrier.decision import LEAST_LIFETIME, MAX_RESTARTS, Verdict, assess
from yellowdog_ray.errors import NotFound
from yellowdog_ray.node.kit import Manifest
from yellowdog_ray.platform.types import (
    Counts,
    Placement,
    PlatformNodeView,
    PoolView,
    TaskGroupView,
    TaskPhase,
    TaskView,
    WorkRequirementView,
)

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
TAG = "ray-head-0badcafe"
LOSS = "ALLOCATION_LOST: The allocation was lost: its agent was silent"
MANIFEST = Manifest("demo", "work", "task-0", "yd-agent", timedelta(minutes=10))


def task(number: int = 0, status: str = "FAILED", **fields: Any) -> TaskView:
    """A head's task, by default of a lost machine."""
    made = TaskView(
        id=f"task-{number}",
        name="head-0badcafe" + (f"-r{number}" if number else ""),
        group_id="group",
        executing=status == "EXECUTING",
        finished=status not in ("PENDING", "READY", "EXECUTING"),
        status=status,
        abort_requested=False,
        platform_node_id="node",
        tags={},
        errors=(LOSS,),
    )
    return replace(made, **fields)


class FakePlatform:
    """A platform whose cluster has lost its head."""

    def __init__(self) -> None:
        self.clock = SimpleNamespace(now=lambda: NOW)
        self.tasks = [task()]
        self.unlisted: set[str] = set()
        self.counts: Counts | None = Counts({TaskPhase.ENDED: 1})
        self.work = WorkRequirementView("work", "ray", "RUNNING", False, False, NOW, ())
        self.lifetime = timedelta(hours=1)
        self.pool: PoolView | None = PoolView("pool", TAG, "RUNNING", False, "compute")
        self.node: PlatformNodeView | None = None

    def work_requirement(self, _: str) -> WorkRequirementView:
        group = TaskGroupView("group", "head", TAG, self.lifetime, self.counts, Placement((TAG,), ("demo",)))
        return replace(self.work, groups=(group,))

    def task(self, task_id: str) -> TaskView:
        return next(task for task in self.tasks if task.id == task_id)

    def group_tasks(self, _: str) -> list[TaskView]:
        return [task for task in self.tasks if task.id not in self.unlisted]

    def find_pool(self, name: str) -> PoolView | None:
        assert name == TAG
        return self.pool

    def platform_node(self, _: str) -> PlatformNodeView:
        if self.node is None:
            raise NotFound("no such platform node")
        return self.node

    def verdict(self, lost: tuple[str, ...] = ()) -> Verdict:
        assessment: Any = self
        return assess(assessment, MANIFEST, lost).verdict


@pytest.fixture
def platform() -> FakePlatform:
    """A platform whose cluster has lost its head."""
    return FakePlatform()


def test_head_is_replaced_after_loss_of_its_machine(platform):
    assert platform.verdict() is Verdict.LOST


SIGTERM = "PROCESS_NON_ZERO_EXIT: it ended (exit code 143)"


def shut_down(platform, status: str, seconds: float | None = 1, errors: tuple[str, ...] = (SIGTERM,)) -> None:
    """Let SIGTERM end the head's task, and its platform node get this status so many seconds later."""
    platform.tasks = [task(errors=errors, ended=NOW)]
    changed = None if seconds is None else NOW + timedelta(seconds=seconds)
    platform.node = PlatformNodeView("node", "pool", "i-1", None, None, status=status, status_changed=changed)


SHUTDOWNS = [
    ("TERMINATED", -1),
    ("TERMINATED", 0),
    ("TERMINATED", 14),
    ("DEREGISTERED", 14),
    ("LOST", 1),
    ("LOST", 9999),
]


@pytest.mark.parametrize(("status", "seconds"), SHUTDOWNS)
def test_head_is_replaced_after_shutdown_of_its_machine(platform, status, seconds):
    shut_down(platform, status, seconds)

    assert platform.verdict() is Verdict.LOST


@pytest.mark.parametrize("status", ["RUNNING", "LATE", "", "SLEEPING"])
def test_head_is_undecided_after_sigterm_until_its_machine_has_ended(platform, status):
    shut_down(platform, status)

    assert platform.verdict() is Verdict.UNDECIDED


IDLE_ENDS = [
    ("TERMINATED", 15),
    ("TERMINATED", 60),
    ("DEREGISTERED", 20),
    ("TERMINATED", -3),
    ("LOST", -3),
    ("LOST", None),
]


@pytest.mark.parametrize(("status", "seconds"), IDLE_ENDS)
def test_head_is_not_replaced_after_sigterm_unless_its_machine_ends_with_it(platform, status, seconds):
    shut_down(platform, status, seconds)

    assert platform.verdict() is Verdict.FINAL


NOTICES = [
    ("AWS", 1, Verdict.FINAL),
    ("AWS", 0, Verdict.LOST),
    ("AWS", -182, Verdict.LOST),
    ("AWS", -183, Verdict.FINAL),
    ("AZURE", -92, Verdict.LOST),
    ("AZURE", -93, Verdict.FINAL),
    (None, -182, Verdict.LOST),
    (None, -183, Verdict.FINAL),
]


@pytest.mark.parametrize(("provider", "noticed", "verdict"), NOTICES)
def test_late_end_of_a_machine_is_a_loss_if_a_spot_notice_came_shortly_before_sigterm(
    platform, provider, noticed, verdict
):
    shut_down(platform, "TERMINATED", 60)
    platform.node = replace(platform.node, provider=provider, spot_notice=NOW + timedelta(seconds=noticed))

    assert platform.verdict() is verdict


def test_end_of_a_machine_that_was_judged_lost_is_not_read_again(platform):
    shut_down(platform, "TERMINATED", 60)

    assert platform.verdict(lost=("task-0",)) is Verdict.LOST
    assert platform.verdict(lost=("task-1",)) is Verdict.FINAL


LATER_ENDS = {
    "abort": {"tasks": [task(errors=(SIGTERM,), abort_requested=True)]},
    "other error": {"tasks": [task(errors=("PROCESS_NON_ZERO_EXIT: it ended (exit code 1)",))]},
    "cancellation": {"work": WorkRequirementView("work", "ray", "CANCELLING", False, True, NOW, ())},
    "pool": {"pool": PoolView("pool", TAG, "SHUTDOWN", True, "compute")},
    "other head": {"tasks": [task(), task(1, "ABORTED")]},
}


@pytest.mark.parametrize("changes", LATER_ENDS.values(), ids=LATER_ENDS)
def test_head_that_was_judged_lost_is_not_replaced_after_another_end(platform, changes):
    for name, value in changes.items():
        setattr(platform, name, value)

    assert platform.verdict(lost=("task-0",)) is Verdict.FINAL


def test_head_is_not_replaced_after_sigterm_on_a_machine_that_is_not_shown(platform):
    shut_down(platform, "TERMINATED")
    platform.node = None

    assert platform.verdict() is Verdict.FINAL


@pytest.mark.parametrize("errors", [(LOSS, SIGTERM), (f"{LOSS} (exit code 143)",), (LOSS, LOSS)])
def test_head_is_replaced_after_loss_of_its_machine_and_sigterm(platform, errors):
    shut_down(platform, "RUNNING", errors=errors)

    assert platform.verdict() is Verdict.LOST


OTHER_ERRORS = {
    "exit code beside a loss": ("PROCESS_NON_ZERO_EXIT: it ended (exit code 1)", LOSS),
    "exit code of a loss": (f"{LOSS} (exit code 1)",),
    "exit code beside SIGTERM": ("PROCESS_NON_ZERO_EXIT: it ended (exit code 1)", SIGTERM),
    "timeout": ("TIMED_OUT: too long (exit code 143)",),
    "timeout beside SIGTERM": ("TIMED_OUT: too long", SIGTERM),
    "unknown kind": ("None: None (exit code 143)",),
    "longer kind": ("ALLOCATION_LOSTX: its agent was silent",),
    "no kind": ("ALLOCATION_LOST",),
    "text about SIGTERM": ("PROCESS_NON_ZERO_EXIT: (exit code 143) (exit code 1)",),
}


@pytest.mark.parametrize("errors", OTHER_ERRORS.values(), ids=OTHER_ERRORS)
def test_head_is_not_replaced_after_another_error(platform, errors):
    shut_down(platform, "TERMINATED", errors=errors)

    assert platform.verdict() is Verdict.FINAL


@pytest.mark.parametrize("status", ["EXECUTING", "PENDING", "READY"])
def test_head_lives_while_its_task_has_not_ended(platform, status):
    platform.tasks = [task(status=status)]

    assert platform.verdict() is Verdict.LIVES


@pytest.mark.parametrize("counts", [None, Counts({TaskPhase.EXECUTING: 1}), Counts({TaskPhase.WAITING: 1})])
def test_head_is_undecided_while_a_list_may_lack_a_live_one(platform, counts):
    platform.counts = counts

    assert platform.verdict() is Verdict.UNDECIDED


OTHER_ENDS = {
    "completed": [task(status="COMPLETED", errors=())],
    "cancelled": [task(status="CANCELLED")],
    "aborted": [task(status="ABORTED")],
    "abort requested": [task(abort_requested=True)],
    "abort under way": [task(status="EXECUTING", abort_requested=True)],
    "retried": [task(status="RESUBMITTED")],
    "exit code": [task(errors=("PROCESS_NON_ZERO_EXIT: it ended (exit code 1)",))],
    "timed out": [task(errors=("TIMED_OUT: too long",))],
    "no reason": [task(errors=())],
    "replacement aborted": [task(), task(1, "ABORTED")],
    "replacement has failed": [task(), task(1, errors=("PROCESS_NON_ZERO_EXIT: it ended (exit code 1)",))],
}


@pytest.mark.parametrize("tasks", OTHER_ENDS.values(), ids=OTHER_ENDS)
def test_head_is_not_replaced_after_another_end(platform, tasks):
    platform.tasks = tasks

    assert platform.verdict() is Verdict.FINAL


ENDS = {
    "cancelling": {"work": {"cancelling": True}},
    "finished": {"work": {"finished": True}},
    "finishing": {"work": {"status": "FINISHING"}},
    "pool ends": {"pool": {"finished": True}},
    "configured pool": {"pool": {"configured": True}},
    "unknown age": {"work": {"created": None}},
    "end of lifetime": {"work": {"created": NOW - timedelta(hours=1) + LEAST_LIFETIME - timedelta(seconds=1)}},
}


@pytest.mark.parametrize("changes", ENDS.values(), ids=ENDS)
def test_head_is_not_replaced_in_a_cluster_that_ends(platform, changes):
    for name, fields in changes.items():
        setattr(platform, name, replace(getattr(platform, name), **fields))

    assert platform.verdict() is Verdict.FINAL


@pytest.mark.parametrize("changed", [("work", "HELD"), ("work", "None"), ("pool", "None")])
def test_head_is_undecided_while_its_cluster_is_held_or_has_no_known_status(platform, changed):
    name, status = changed
    setattr(platform, name, replace(getattr(platform, name), status=status))

    assert platform.verdict() is Verdict.UNDECIDED


def test_head_is_not_replaced_without_its_pool(platform):
    platform.pool = None

    assert platform.verdict() is Verdict.FINAL


def test_head_is_replaced_until_it_was_replaced_three_times(platform):
    platform.tasks = [task(), *(task(number) for number in range(1, MAX_RESTARTS))]
    assert platform.verdict() is Verdict.LOST

    platform.tasks.append(task(MAX_RESTARTS))
    assert platform.verdict() is Verdict.FINAL


def test_live_task_comes_before_ended_ones_of_its_name(platform):
    first, ended, live = task(), task(1, id="a"), task(1, "EXECUTING", id="b")
    platform.tasks = [first, ended, live, task(1, "PENDING", id="c")]
    fake: Any = platform

    read = assess(fake, MANIFEST)

    assert (read.last.id, [spare.id for spare in read.spares]) == ("b", ["c"])


def test_own_head_is_read_where_a_list_lacks_it(platform):
    platform.unlisted = {"task-0"}

    assert platform.verdict() is Verdict.LOST
