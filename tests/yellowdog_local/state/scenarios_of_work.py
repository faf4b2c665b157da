"""Scenarios that take every declared step of tasks, task groups and work requirements; see `test_lives.py`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from yellowdog_client.model import (
    FailurePolicy,
    ResubmissionDestination,
    RetryPolicy,
    TaskGroup,
    TaskGroupStatus,
    TaskStatus,
    WorkRequirementStatus,
)

from tests.simulation.lab import Lab, LabMaker
from yellowdog_local.messages import AgentEvent
from yellowdog_local.state.records import GroupRecord, TaskRecord, WorkRecord

_HELD, _RUNNING = WorkRequirementStatus.HELD, WorkRequirementStatus.RUNNING
_FINISHING, _CANCELLING = WorkRequirementStatus.FINISHING, WorkRequirementStatus.CANCELLING


def _request(lab: Lab, work: WorkRecord, status: WorkRequirementStatus, *, abort: bool = False) -> None:
    lab.do(lambda p: p.work.transition(work, status, abort=abort))


def _fail_fast(lab: Lab, **spec: Any) -> GroupRecord:
    entity = lab.group_spec("group", **spec)
    entity.finishIfAnyTaskFailed = True
    return lab.work("work", entity).groups[0]


def _resubmitting(lab: Lab) -> tuple[GroupRecord, GroupRecord]:
    policy = FailurePolicy([ResubmissionDestination("other")])
    first, second = lab.work("work", lab.group_spec("first", failurePolicy=policy), lab.group_spec("other")).groups
    return first, second


def _allocated(make_lab: LabMaker, **spec: Any) -> tuple[Lab, TaskRecord]:
    """A task that its worker's agent has not received yet."""
    lab = make_lab(allocation_latency_seconds=5)
    lab.booted(1)
    (task,) = lab.tasks(lab.group(**spec), "a")
    assert task.status is TaskStatus.ALLOCATED
    return lab, task


def dependent_tasks_run_are_cancelled_and_complete(make_lab: LabMaker) -> None:
    lab = make_lab()
    lab.booted(1)
    second = lab.group_spec("second", keep=False)
    second.dependencies = ["first"]
    work = lab.work("work", lab.group_spec("first", keep=False), second)
    runs, cancelled = lab.ending(work.groups[1], "runs", 1), lab.ending(work.groups[1], "cancelled", 1)
    assert runs.status is TaskStatus.PENDING
    lab.do(lambda p: p.tasks.cancel(cancelled, abort=False))
    lab.ending(work.groups[0], "first", 1)
    lab.advance(5)
    assert (runs.status, cancelled.status) == (TaskStatus.COMPLETED, TaskStatus.CANCELLED)
    assert work.status is WorkRequirementStatus.COMPLETED


def tasks_are_discarded_when_their_group_fails(make_lab: LabMaker) -> None:
    lab = make_lab(retry_delay_seconds=100)
    lab.booted(3, maxNodes=3)
    group = _fail_fast(lab, retryPolicy=RetryPolicy(1))
    early, late = lab.ending(group, "early", 1, exit_code=3), lab.ending(group, "late", 80, exit_code=3)
    lab.ending(group, "runs", 200)
    waits = lab.ending(group, "waits", 300)
    lab.advance(79)
    lab.do(lambda p: p.tasks.cancel(waits, abort=True))
    lab.advance(23)  # `early` fails again and for good, while `late` waits for its retry
    assert (early.status, late.status) == (TaskStatus.FAILED, TaskStatus.DISCARDED)
    assert group.status is TaskGroupStatus.FAILING
    lab.advance(200)
    assert group.status is TaskGroupStatus.FAILED
    assert group.work.status is WorkRequirementStatus.FAILED


def ready_tasks_are_discarded_and_cancelled(make_lab: LabMaker) -> None:
    lab = make_lab()
    lab.booted(1, maxNodes=1)
    group = _fail_fast(lab)
    lab.ending(group, "fails", 1, exit_code=3)
    discarded, cancelled = lab.tasks(group, "discarded", "cancelled")
    lab.do(lambda p: p.tasks.cancel(cancelled, abort=False))
    lab.advance(2)
    assert (discarded.status, cancelled.status) == (TaskStatus.DISCARDED, TaskStatus.CANCELLED)


def allocated_task_returns_when_its_work_is_held(make_lab: LabMaker) -> None:
    lab, task = _allocated(make_lab)
    _request(lab, task.group.work, _HELD)
    assert task.status is TaskStatus.READY


def allocated_task_completes_without_a_reported_start(make_lab: LabMaker) -> None:
    lab, task = _allocated(make_lab)
    assert task.worker is not None
    node_id = task.worker.node.id
    end = AgentEvent(taskId=task.id, attempt=task.attempt, type="FINISHED", exitCode=0)
    lab.do(lambda p: p.tasks.reported(node_id, end))
    assert task.status is TaskStatus.COMPLETED


def allocated_task_is_aborted(make_lab: LabMaker) -> None:
    lab, task = _allocated(make_lab)
    lab.do(lambda p: p.tasks.cancel(task, abort=True))
    lab.advance(5)
    assert task.status is TaskStatus.ABORTED


def allocated_task_fails_with_its_node(make_lab: LabMaker) -> None:
    lab, task = _allocated(make_lab)
    lab.hosts.lose(lab.hosts.instance_ids[0])
    assert task.status is TaskStatus.FAILED


def allocated_task_is_retried_after_the_loss_of_its_node(make_lab: LabMaker) -> None:
    lab, task = _allocated(make_lab, retryPolicy=RetryPolicy(1))
    lab.hosts.lose(lab.hosts.instance_ids[0])
    assert (task.status, task.entity.retryCount) == (TaskStatus.READY, 1)


def allocated_task_is_resubmitted_after_the_loss_of_its_node(make_lab: LabMaker) -> None:
    lab = make_lab(allocation_latency_seconds=5)
    lab.booted(1)
    (task,) = lab.tasks(_resubmitting(lab)[0], "a")
    lab.hosts.lose(lab.hosts.instance_ids[0])
    assert task.status is TaskStatus.RESUBMITTED


def executing_tasks_fail_retry_and_are_resubmitted_and_aborted(make_lab: LabMaker) -> None:
    lab = make_lab()
    lab.booted(4)
    resubmitted = lab.ending(_resubmitting(lab)[0], "resubmitted", 1, exit_code=3)
    retried = lab.ending(lab.group(name="retries", retryPolicy=RetryPolicy(1)), "retried", 1, exit_code=3)
    (aborted,) = lab.tasks(lab.group(name="aborts"), "aborted")
    lab.advance(1)
    lab.do(lambda p: p.tasks.cancel(aborted, abort=True))
    lab.advance(2)
    assert (resubmitted.status, aborted.status) == (TaskStatus.RESUBMITTED, TaskStatus.ABORTED)
    assert (retried.status, retried.entity.retryCount) == (TaskStatus.FAILED, 1)


def work_is_held_before_it_runs_and_resumed(make_lab: LabMaker) -> None:
    lab = make_lab()
    group = lab.group()
    _request(lab, group.work, _HELD)
    assert group.status is TaskGroupStatus.HELD
    _request(lab, group.work, _RUNNING)
    assert (group.status, group.work.status) == (TaskGroupStatus.PENDING, _RUNNING)


def work_finishes_from_each_status(make_lab: LabMaker) -> None:
    for hold in (False, True):
        for runs in (False, True):
            lab = make_lab()
            lab.booted(1)
            group = lab.group()
            task = lab.ending(group, "a", 1) if runs else None
            if hold:
                _request(lab, group.work, _HELD)
            _request(lab, group.work, _FINISHING)
            lab.advance(2)
            assert task is None or task.status is TaskStatus.COMPLETED
            assert group.work.status is WorkRequirementStatus.COMPLETED


def work_is_cancelled_from_each_status(make_lab: LabMaker) -> None:
    for first in (None, _HELD, _FINISHING):
        for nodes in (0, 1):
            lab = make_lab()
            lab.booted(nodes, maxNodes=1)
            group = lab.group()
            lab.tasks(group, "a")
            if first is not None:
                _request(lab, group.work, first)
            _request(lab, group.work, _CANCELLING, abort=True)
            lab.advance(2)
            assert group.work.status is WorkRequirementStatus.CANCELLED
            assert group.status is TaskGroupStatus.CANCELLED


def failing_group_is_cancelled(make_lab: LabMaker) -> None:
    lab = make_lab()
    lab.booted(2)
    group = _fail_fast(lab)
    lab.ending(group, "fails", 1, exit_code=3)
    lab.ending(group, "runs", 50)
    lab.advance(2)
    assert group.status is TaskGroupStatus.FAILING
    _request(lab, group.work, _CANCELLING)
    lab.advance(50)
    assert group.status is TaskGroupStatus.CANCELLED


def pending_group_completes_when_its_tasks_are_cancelled(make_lab: LabMaker) -> None:
    lab = make_lab()
    group = lab.group(keep=False)
    (task,) = lab.tasks(group, "a")
    lab.do(lambda p: p.tasks.cancel(task, abort=False))
    assert group.status is TaskGroupStatus.COMPLETED


def _fails_while_held(make_lab: LabMaker, group_of: Any) -> tuple[Lab, GroupRecord]:
    lab = make_lab()
    lab.booted(1)
    group = group_of(lab)
    lab.ending(group, "a", 1, exit_code=3)
    _request(lab, group.work, _HELD)
    lab.advance(2)
    return lab, group


def pending_group_ends_with_the_failures_of_the_time_it_was_held(make_lab: LabMaker) -> None:
    lab, group = _fails_while_held(make_lab, lambda lab: lab.group(keep=False))
    assert group.status is TaskGroupStatus.HELD
    _request(lab, group.work, _RUNNING)
    assert group.status is TaskGroupStatus.FAILED


def pending_group_fails_when_it_is_changed_to_fail_fast(make_lab: LabMaker) -> None:
    lab, group = _fails_while_held(make_lab, lambda lab: lab.group())
    _request(lab, group.work, _RUNNING)
    assert group.status is TaskGroupStatus.PENDING
    changed = deepcopy(group.work.entity)
    entity: TaskGroup = lab.group_spec("group")
    entity.finishIfAnyTaskFailed = True
    changed.taskGroups = [entity]
    lab.do(lambda p: p.work.update(changed))
    assert group.status is TaskGroupStatus.FAILED


def held_group_fails_fast_and_its_work_with_it(make_lab: LabMaker) -> None:
    _lab, group = _fails_while_held(make_lab, _fail_fast)
    assert group.status is TaskGroupStatus.FAILED
    assert group.work.status is WorkRequirementStatus.FAILED


def running_group_ends_with_failures(make_lab: LabMaker) -> None:
    lab = make_lab()
    lab.booted(1)
    group = lab.group(keep=False)
    lab.ending(group, "a", 1, exit_code=3)
    lab.advance(2)
    assert group.work.status is WorkRequirementStatus.FAILED


def finishing_groups_fail_and_end_with_failures(make_lab: LabMaker) -> None:
    for fail_fast in (False, True):
        lab = make_lab()
        lab.booted(1)
        group = _fail_fast(lab) if fail_fast else lab.group()
        lab.ending(group, "a", 1, exit_code=3)
        _request(lab, group.work, _FINISHING)
        lab.advance(2)
        assert group.status is TaskGroupStatus.FAILED
        assert group.work.status is WorkRequirementStatus.FAILED


SCENARIOS = (
    dependent_tasks_run_are_cancelled_and_complete,
    tasks_are_discarded_when_their_group_fails,
    ready_tasks_are_discarded_and_cancelled,
    allocated_task_returns_when_its_work_is_held,
    allocated_task_completes_without_a_reported_start,
    allocated_task_is_aborted,
    allocated_task_fails_with_its_node,
    allocated_task_is_retried_after_the_loss_of_its_node,
    allocated_task_is_resubmitted_after_the_loss_of_its_node,
    executing_tasks_fail_retry_and_are_resubmitted_and_aborted,
    work_is_held_before_it_runs_and_resumed,
    work_finishes_from_each_status,
    work_is_cancelled_from_each_status,
    failing_group_is_cancelled,
    pending_group_completes_when_its_tasks_are_cancelled,
    pending_group_ends_with_the_failures_of_the_time_it_was_held,
    pending_group_fails_when_it_is_changed_to_fail_fast,
    held_group_fails_fast_and_its_work_with_it,
    running_group_ends_with_failures,
    finishing_groups_fail_and_end_with_failures,
)
