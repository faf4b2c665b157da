from __future__ import annotations

from copy import deepcopy

import pytest
from yellowdog_client.model import (
    TaskGroupStatus,
    TaskStatus,
    WorkRequirement,
    WorkRequirementStatus,
)

from tests.simulation.lab import Lab
from yellowdog_local.errors import AlreadyExists, InvalidRequest, InvalidWorkStatus
from yellowdog_local.state.records import WorkRecord

RUNNING, HELD = WorkRequirementStatus.RUNNING, WorkRequirementStatus.HELD
FINISHING, CANCELLING = WorkRequirementStatus.FINISHING, WorkRequirementStatus.CANCELLING


def transition(lab: Lab, work: WorkRecord, status: WorkRequirementStatus, *, abort: bool = False) -> None:
    lab.do(lambda p: p.work.transition(work, status, abort=abort))


def test_work_runs_at_once_and_is_starved_without_workers(lab: Lab) -> None:
    group = lab.group()
    lab.tasks(group, "a")
    view = lab.platform.work.view(group.work)
    assert (group.work.status, group.status) == (RUNNING, TaskGroupStatus.PENDING)
    assert view.taskGroups[0].starved
    lab.booted()
    view = lab.platform.work.view(group.work)
    assert group.status is TaskGroupStatus.RUNNING
    assert not view.taskGroups[0].starved


def test_empty_task_group_does_not_complete(lab: Lab) -> None:
    group = lab.group(keep=False)
    lab.advance(100)
    assert group.status is TaskGroupStatus.PENDING


def test_group_and_work_complete_with_the_last_task(lab: Lab) -> None:
    lab.booted()
    group = lab.group(keep=False)
    lab.ending(group, "a", 1)
    lab.advance(1)
    assert group.status is TaskGroupStatus.COMPLETED
    assert group.work.status is WorkRequirementStatus.COMPLETED


def test_work_fails_after_all_tasks_if_one_failed(lab: Lab) -> None:
    lab.booted()
    group = lab.group(keep=False)
    lab.ending(group, "a", 1, exit_code=1)
    lab.ending(group, "b", 1)
    lab.advance(1)
    assert group.work.status is RUNNING
    lab.advance(1)
    assert group.work.status is WorkRequirementStatus.FAILED


def test_first_failure_discards_waiting_tasks_with_fail_fast(lab: Lab) -> None:
    lab.booted(maxNodes=1)
    group = lab.group()
    group.entity.finishIfAnyTaskFailed = True
    lab.ending(group, "a", 1, exit_code=1)
    (waiting,) = lab.tasks(group, "b")
    lab.advance(1)
    assert waiting.status is TaskStatus.DISCARDED
    assert group.status is TaskGroupStatus.FAILED


def test_cancel_with_abort_waits_for_executing_tasks(lab: Lab) -> None:
    lab.booted(maxNodes=1)
    group = lab.group()
    executing, waiting = lab.tasks(group, "a", "b", environment={"SIM_ABORT_SECONDS": "3"})
    transition(lab, group.work, CANCELLING, abort=True)
    assert (executing.status, waiting.status) == (TaskStatus.EXECUTING, TaskStatus.CANCELLED)
    assert group.work.status is CANCELLING
    lab.advance(3)
    assert (executing.status, group.work.status) == (TaskStatus.ABORTED, WorkRequirementStatus.CANCELLED)


def test_cancel_without_abort_lets_tasks_run_until_a_later_abort(lab: Lab) -> None:
    lab.booted()
    group = lab.group()
    (task,) = lab.tasks(group, "a")
    transition(lab, group.work, CANCELLING)
    lab.advance(100)
    assert (task.status, group.work.status) == (TaskStatus.EXECUTING, CANCELLING)
    transition(lab, group.work, CANCELLING, abort=True)
    assert group.work.status is WorkRequirementStatus.CANCELLED


def test_cancel_of_idle_work_ends_at_once_and_a_repeat_is_refused(lab: Lab) -> None:
    work = lab.work()
    transition(lab, work, CANCELLING)
    assert work.status is WorkRequirementStatus.CANCELLED
    with pytest.raises(InvalidWorkStatus):
        transition(lab, work, CANCELLING)


def test_held_work_allocates_no_task_until_resumed(lab: Lab) -> None:
    lab.booted(2)
    group = lab.group()
    (executing,) = lab.tasks(group, "a")
    transition(lab, group.work, HELD)
    (waiting,) = lab.tasks(group, "b")
    lab.advance(10)
    assert (executing.status, waiting.status) == (TaskStatus.EXECUTING, TaskStatus.READY)
    transition(lab, group.work, RUNNING)
    assert waiting.status is TaskStatus.EXECUTING


def test_finishing_work_refuses_tasks_and_completes_with_the_last(lab: Lab) -> None:
    lab.booted()
    group = lab.group()
    lab.ending(group, "a", 5)
    transition(lab, group.work, FINISHING)
    with pytest.raises(InvalidRequest):
        lab.tasks(group, "b")
    lab.advance(5)
    assert group.work.status is WorkRequirementStatus.COMPLETED


def test_update_adds_task_groups_in_the_order_sent(lab: Lab) -> None:
    work = lab.work("work", lab.group_spec("head"))
    first = work.groups[0]
    sent = deepcopy(lab.platform.work.view(work))
    sent.taskGroups.append(lab.group_spec("workers"))
    lab.do(lambda p: p.work.update(sent))
    assert [group.entity.name for group in work.groups] == ["head", "workers"]
    assert work.groups[0] is first
    assert [group.id[-2:] for group in work.groups] == [":1", ":2"]


def test_update_that_removes_groups_or_changes_task_types_is_refused(lab: Lab) -> None:
    work = lab.work()
    sent = deepcopy(lab.platform.work.view(work))
    sent.taskGroups[0].runSpecification.taskTypes = ["docker"]
    with pytest.raises(InvalidRequest, match="taskTypes"):
        lab.do(lambda p: p.work.update(sent))
    sent.taskGroups = []
    with pytest.raises(InvalidRequest, match="removed"):
        lab.do(lambda p: p.work.update(sent))


def test_work_name_is_reusable_only_after_its_end(lab: Lab) -> None:
    work = lab.work("same")
    with pytest.raises(AlreadyExists, match="already exists"):
        lab.work("same")
    transition(lab, work, CANCELLING)
    assert lab.work("same").id != work.id


def test_dependent_group_waits_for_completion_of_the_other(lab: Lab) -> None:
    lab.booted(2)
    second_spec = lab.group_spec("second")
    second_spec.dependencies = ["first"]
    work = lab.work("work", lab.group_spec("first", keep=False), second_spec)
    first, second = work.groups
    lab.ending(first, "a", 5)
    (waiting,) = lab.tasks(second, "b")
    assert waiting.status is TaskStatus.PENDING
    assert lab.platform.work.view(work).taskGroups[1].waitingOnDependency
    lab.advance(5)
    assert waiting.status is TaskStatus.EXECUTING


def test_invalid_names_are_refused(lab: Lab) -> None:
    for name in ("Upper", "9lives", "ends-", "x" * 61, "", "sp ace"):
        with pytest.raises(InvalidRequest):
            lab.do(lambda p, name=name: p.work.add(WorkRequirement("demo", name)))


def test_cancelled_group_stays_cancelled_after_a_later_abort(lab: Lab) -> None:
    lab.booted()
    work = lab.work("work", lab.group_spec("waits", keep=False, workerTags=["none"]), lab.group_spec("busy"))
    waits, busy = work.groups
    lab.tasks(waits, "never-runs")
    (task,) = lab.tasks(busy, "a", environment={"SIM_ABORT_SECONDS": "3"})
    transition(lab, work, CANCELLING)
    assert (waits.status, busy.status) == (TaskGroupStatus.CANCELLED, TaskGroupStatus.CANCELLING)
    ended = waits.entity.statusChangedTime
    lab.advance(1)
    transition(lab, work, CANCELLING, abort=True)
    lab.advance(3)
    assert (task.status, work.status) == (TaskStatus.ABORTED, WorkRequirementStatus.CANCELLED)
    assert (waits.status, waits.entity.statusChangedTime) == (TaskGroupStatus.CANCELLED, ended)


def test_failed_group_does_not_fail_again(lab: Lab) -> None:
    lab.booted()
    work = lab.work("work", lab.group_spec("failed"), lab.group_spec("open"))
    failed = work.groups[0]
    failed.entity.finishIfAnyTaskFailed = True
    lab.ending(failed, "a", 1, exit_code=1)
    lab.advance(1)
    ended = failed.entity.statusChangedTime
    lab.advance(10)
    transition(lab, work, HELD)
    transition(lab, work, RUNNING)
    assert (failed.status, failed.entity.statusChangedTime) == (TaskGroupStatus.FAILED, ended)
