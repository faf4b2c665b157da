"""Task groups and tasks over the SDK: resubmission, expiry of completed tasks, searches and their order."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    FailurePolicy,
    ResubmissionDestination,
    RetryPolicy,
    RunSpecification,
    Selection,
    SortDirection,
    Task,
    TaskErrorSelector,
    TaskGroup,
    TaskGroupStatus,
    TaskSearch,
    TaskStatus,
    WorkRequirement,
    WorkRequirementSearch,
    WorkRequirementStatus,
)
from yellowdog_client.model.exceptions import InvalidRequestException

from tests.contract.test_sdk import START, provision, submit
from yellowdog_local.testing import RunningPlatform


def failing(name: str, exit_code: int) -> Task:
    environment = {"SIM_TASK_SECONDS": "1", "SIM_TASK_EXIT_CODE": str(exit_code), "A": "b"}
    return Task(name=name, taskType="bash", arguments=["x"], environment=environment, tag="t", taskData="data")


def with_failure_policy(client: PlatformClient, *destinations: ResubmissionDestination) -> WorkRequirement:
    first = RunSpecification(
        ["bash"], failurePolicy=FailurePolicy(list(destinations)), retryPolicy=RetryPolicy(maxRetries=1)
    )
    groups = [
        TaskGroup("first", runSpecification=first),
        TaskGroup("second", runSpecification=RunSpecification(["bash"]), finishIfAllTasksFinished=False),
    ]
    return client.work_client.add_work_requirement(WorkRequirement("demo", "work", groups))


def on_exit(code: int) -> Selection[TaskErrorSelector]:
    return Selection(includes=[TaskErrorSelector(processExitCodes=Selection(includes=[code]))])


def test_failed_task_is_resubmitted_by_its_policy(local: RunningPlatform, client: PlatformClient) -> None:
    work = with_failure_policy(client, ResubmissionDestination("second", on_exit(137)))
    provision(client)
    memory, other = client.work_client.add_tasks_to_task_group_by_id(
        work.taskGroups[0].id, [failing("memory", 137), failing("other", 3)]
    )
    local.advance(30)
    sent = client.work_client.get_task_by_id(memory.id)
    assert (sent.status, sent.retryCount, len(sent.errors)) == (TaskStatus.RESUBMITTED, 1, 2)
    copy = client.work_client.get_task_by_id(sent.resubmittedToTaskId)
    assert (copy.resubmittedFromTaskId, copy.taskGroupId) == (memory.id, work.taskGroups[1].id)
    assert (copy.name, copy.tag, copy.arguments, copy.taskData) == ("memory", "t", ["x"], "data")
    assert copy.environment["A"] == "b"
    failed = client.work_client.get_task_by_id(other.id)
    assert (failed.status, failed.resubmittedToTaskId) == (TaskStatus.FAILED, None)
    groups = client.work_client.get_work_requirement_by_id(work.id).taskGroups
    assert groups[0].status is TaskGroupStatus.FAILED
    assert groups[0].taskSummary.statusCounts == {TaskStatus.RESUBMITTED: 1, TaskStatus.FAILED: 1}


def test_task_group_is_completed_when_all_its_tasks_were_resubmitted(
    local: RunningPlatform, client: PlatformClient
) -> None:
    work = with_failure_policy(client, ResubmissionDestination("second"))
    provision(client)
    client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, [failing("a", 1)])
    local.advance(30)
    first, second = client.work_client.get_work_requirement_by_id(work.id).taskGroups
    assert first.status is TaskGroupStatus.COMPLETED
    assert second.taskSummary.statusCounts == {TaskStatus.FAILED: 1}


def test_unknown_resubmission_destination_is_refused(client: PlatformClient) -> None:
    with pytest.raises(InvalidRequestException, match="unknown destinationTaskGroup third"):
        with_failure_policy(client, ResubmissionDestination("third"))


def test_completed_task_expires_and_is_still_counted(local: RunningPlatform, client: PlatformClient) -> None:
    group = TaskGroup(
        "g",
        runSpecification=RunSpecification(["bash"]),
        finishIfAllTasksFinished=False,
        completedTaskTtl=timedelta(seconds=60),
    )
    work = client.work_client.add_work_requirement(WorkRequirement("demo", "work", [group]))
    provision(client)
    (task,) = client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, [failing("a", 0)])
    local.advance(62)
    assert client.work_client.get_task_by_id(task.id).finishedTime == START + timedelta(seconds=3)
    local.advance(1)
    with pytest.raises(requests.HTTPError, match="NotFoundException"):
        client.work_client.get_task_by_id(task.id)
    assert client.work_client.find_tasks(TaskSearch(workRequirementId=work.id)) == []
    (counted,) = client.work_client.get_work_requirement_by_id(work.id).taskGroups
    assert counted.taskSummary.statusCounts == {TaskStatus.COMPLETED: 1}


def test_tasks_are_sorted_and_filtered(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    tasks = [Task(name=name, taskType="bash", tag=tag) for name, tag in (("b", "x-1"), ("a", "x-2"), ("c", "y-1"))]
    client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, tasks)

    def names(**search: object) -> list[str]:
        found = client.work_client.find_tasks(TaskSearch(workRequirementId=work.id, **search))  # type: ignore[arg-type]
        return [task.name for task in found]

    assert names(sortField="name") == ["a", "b", "c"]
    assert names(sortField="name", sortDirection=SortDirection.DESCENDING) == ["c", "b", "a"]
    assert names(sortDirection=SortDirection.DESCENDING) == ["c", "a", "b"]
    assert names(tagStartsWith="x") == ["b", "a"]
    assert names(tag="-1") == ["b", "c"]
    assert names(hasErrors=True) == []


def test_work_requirements_are_sorted_and_filtered_over_several_slices(client: PlatformClient) -> None:
    for name in ("d", "b", "a", "c", "e"):
        submit(client, name)
    held = client.work_client.get_work_requirement_by_name("demo", "c")
    client.work_client.hold_work_requirement(held)
    ordered = WorkRequirementSearch(sortField="name", statuses=[WorkRequirementStatus.RUNNING])
    assert [w.name for w in client.work_client.get_work_requirements(ordered).list_all()] == ["a", "b", "d", "e"]
