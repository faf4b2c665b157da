from __future__ import annotations

from datetime import timedelta

import pytest
from yellowdog_client.model import RetryPolicy, Selection, Task, TaskErrorSelector, TaskStatus

from tests.simulation.lab import Lab, LabMaker
from yellowdog_local.errors import DuplicateTaskNames, InvalidRequest
from yellowdog_local.messages import AgentEvent


def test_task_starts_at_once_with_an_idle_worker(lab: Lab) -> None:
    lab.booted()
    (task,) = lab.tasks(lab.group(), "a")
    assert task.status is TaskStatus.EXECUTING
    assert task.entity.nodeId in lab.platform.store.nodes
    assert task.entity.workerId == task.entity.nodeId.replace("node", "wrkr") + ":1"


def test_worker_starts_the_next_task_after_a_completion(lab: Lab) -> None:
    pool = lab.booted(maxNodes=1)
    group = lab.group()
    first, second = lab.ending(group, "a", 5), lab.tasks(group, "b")[0]
    lab.advance(4)
    assert (first.status, second.status) == (TaskStatus.EXECUTING, TaskStatus.READY)
    lab.advance(1)
    assert (first.status, second.status) == (TaskStatus.COMPLETED, TaskStatus.EXECUTING)
    assert first.entity.workingTime.executing == timedelta(seconds=5)
    assert pool.claimed == 1


def test_aborted_task_executes_until_its_agent_reports_the_end(lab: Lab) -> None:
    lab.booted()
    (task,) = lab.tasks(lab.group(), "a", environment={"SIM_ABORT_SECONDS": "3"})
    lab.do(lambda p: p.tasks.cancel(task, abort=True))
    assert task.status is TaskStatus.EXECUTING
    assert task.entity.abortRequestedTime is not None
    lab.advance(3)
    assert task.status is TaskStatus.ABORTED


def test_aborted_task_fails_if_set(make_lab: LabMaker) -> None:
    lab = make_lab(abort_end_state="FAILED")
    lab.booted()
    (task,) = lab.tasks(lab.group(), "a")
    lab.do(lambda p: p.tasks.cancel(task, abort=True))
    assert task.status is TaskStatus.FAILED


def test_cancel_without_abort_has_no_effect_on_an_executing_task(lab: Lab) -> None:
    lab.booted()
    (task,) = lab.tasks(lab.group(), "a")
    lab.do(lambda p: p.tasks.cancel(task, abort=False))
    assert task.status is TaskStatus.EXECUTING
    assert task.entity.abortRequestedTime is None


def test_cancel_ends_a_waiting_task_at_once(lab: Lab) -> None:
    (task,) = lab.tasks(lab.group(), "a")
    lab.do(lambda p: p.tasks.cancel(task, abort=False))
    assert task.status is TaskStatus.CANCELLED


def test_task_fails_with_its_exit_code_if_not_zero(lab: Lab) -> None:
    lab.booted()
    task = lab.ending(lab.group(), "a", 1, exit_code=3)
    lab.advance(1)
    (error,) = task.entity.errors
    assert task.status is TaskStatus.FAILED
    assert (error.errorType, error.processExitCode) == ("PROCESS_NON_ZERO_EXIT", 3)
    assert error.statusAtFailure is TaskStatus.EXECUTING


@pytest.mark.parametrize("where", ["task", "group"])
def test_task_fails_as_timed_out_after_its_timeout(lab: Lab, where: str) -> None:
    lab.booted()
    limit = timedelta(seconds=10)
    group = lab.group(taskTimeout=limit if where == "group" else timedelta(hours=1))
    (task,) = lab.tasks(group, "a", timeout=limit if where == "task" else None)
    lab.advance(9)
    assert task.status is TaskStatus.EXECUTING
    lab.advance(1)
    assert task.status is TaskStatus.FAILED
    assert task.entity.errors[0].errorType == "TIMED_OUT"


def test_lost_task_is_retried_only_with_a_matching_policy(lab: Lab) -> None:
    lab.booted(2, maxNodes=3)
    lost = Selection(includes=[TaskErrorSelector(errorTypes=Selection(includes=["ALLOCATION_LOST"]))])
    retried = lab.tasks(lab.group(retryPolicy=RetryPolicy(1, lost)), "a")[0]
    failed = lab.tasks(lab.group(name="other"), "a")[0]
    for task in (retried, failed):
        lab.hosts.lose(task.worker.node.instance.id)
    assert failed.status is TaskStatus.FAILED
    assert failed.entity.errors[0].errorType == "ALLOCATION_LOST"
    assert (retried.status, retried.entity.retryCount) == (TaskStatus.READY, 1)
    assert retried.entity.nodeId is None
    lab.advance(10)
    assert retried.status is TaskStatus.EXECUTING


def test_task_fails_after_its_last_retry(lab: Lab) -> None:
    lab.booted()
    task = lab.ending(lab.group(retryPolicy=RetryPolicy(2)), "a", 1, exit_code=1)
    lab.advance(10)
    assert (task.status, task.entity.retryCount, len(task.entity.errors)) == (TaskStatus.FAILED, 2, 3)
    assert [error.causedFailure for error in task.entity.errors] == [False, False, True]


def test_report_about_an_earlier_attempt_is_ignored(lab: Lab) -> None:
    lab.booted()
    task = lab.ending(lab.group(retryPolicy=RetryPolicy(1)), "a", 5, exit_code=1)
    lab.advance(5)
    assert task.attempt == 1
    stale = AgentEvent(taskId=task.id, attempt=0, type="FINISHED", exitCode=0)
    lab.do(lambda p: p.nodes.agent_reported(task.worker.node.id, stale))
    assert task.status is TaskStatus.EXECUTING


def test_duplicate_name_refuses_the_whole_batch(lab: Lab) -> None:
    group = lab.group()
    lab.tasks(group, "a")
    with pytest.raises(DuplicateTaskNames):
        lab.tasks(group, "b", "a")
    with pytest.raises(DuplicateTaskNames):
        lab.tasks(group, "c", "c")
    assert [task.entity.name for task in group.tasks.values()] == ["a"]


def test_task_type_of_another_group_is_refused(lab: Lab) -> None:
    group = lab.group()
    with pytest.raises(InvalidRequest, match="taskType 'docker'"):
        lab.do(lambda p: p.work.add_tasks(group, [Task(name="a", taskType="docker")]))


def test_summary_time_increases_with_each_change_within_a_millisecond(lab: Lab) -> None:
    group = lab.group()
    seen = []
    for name in "abc":
        lab.tasks(group, name)
        seen.append(lab.platform.work.view(group.work).taskGroups[0].taskSummary.lastUpdatedTime)
    again = lab.platform.work.view(group.work).taskGroups[0].taskSummary.lastUpdatedTime
    assert again == seen[-1]
    assert seen == sorted(set(seen))


def test_completed_task_is_removed_but_counted_after_its_ttl(lab: Lab) -> None:
    lab.booted()
    group = lab.group()
    group.entity.completedTaskTtl = timedelta(seconds=60)
    task = lab.ending(group, "a", 1)
    lab.advance(60)
    assert task.id in lab.platform.store.tasks
    lab.advance(1)
    assert task.id not in lab.platform.store.tasks
    assert group.counts[TaskStatus.COMPLETED] == 1


def test_report_about_an_ended_task_is_ignored(lab: Lab) -> None:
    node = lab.node(lab.booted())
    group = lab.group()
    failed, aborted = lab.ending(group, "a", 1, exit_code=1), lab.tasks(group, "b")[0]
    lab.advance(5)
    lab.do(lambda p: p.tasks.cancel(aborted, abort=True))
    for task, status in ((failed, TaskStatus.FAILED), (aborted, TaskStatus.ABORTED)):
        for attempt in (0, task.attempt):
            late = AgentEvent(taskId=task.id, attempt=attempt, type="FINISHED", exitCode=0)
            lab.do(lambda p, late=late: p.nodes.agent_reported(node.id, late))
        assert task.status is status
    assert len(failed.entity.errors) == 1


def test_attempt_increases_each_time_a_task_leaves_a_worker(lab: Lab) -> None:
    lab.booted(1, maxNodes=2)
    task = lab.ending(lab.group(retryPolicy=RetryPolicy(2)), "a", 5, exit_code=1)
    attempts = [task.attempt]
    lab.hosts.lose(task.worker.node.instance.id)
    attempts.append(task.attempt)
    lab.advance(9)
    attempts.append(task.attempt)
    lab.advance(5)
    assert attempts == [0, 1, 2]
    assert (task.attempt, task.status) == (3, TaskStatus.FAILED)
