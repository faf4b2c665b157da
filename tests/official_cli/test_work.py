"""Work requirements with YellowDog's own command line."""

from __future__ import annotations

from typing import Any

from yellowdog_client import PlatformClient
from yellowdog_client.model import ProvisionedWorkerPool, TaskErrorType, TaskStatus, WorkRequirementStatus

from tests.official_cli.command_line import OfficialCli
from tests.yellowdog_local.host_support import eventually
from yellowdog_local.state.records import TaskRecord
from yellowdog_local.testing import RunningPlatform


def batch(name: str, *, seconds: float | None = None, exit_codes: tuple[int, ...] = (0, 0)) -> dict[str, Any]:
    """A user's specification; without `seconds` its tasks run until they are aborted."""
    runs = {} if seconds is None else {"SIM_TASK_SECONDS": str(seconds)}
    tasks = [
        {
            "name": f"task-{number}",
            "arguments": ["-c", f"exit {code}"],
            "environment": {**runs, "SIM_TASK_EXIT_CODE": str(code)},
        }
        for number, code in enumerate(exit_codes)
    ]
    return {"name": name, "taskGroups": [{"name": "group", "tasks": tasks}]}


def tasks(local: RunningPlatform) -> dict[str, TaskRecord]:
    return {str(task.entity.name): task for task in local.platform.store.tasks.values()}


def statuses(local: RunningPlatform) -> list[TaskStatus]:
    return [task.status for task in tasks(local).values()]


def work(client: PlatformClient, name: str = "work") -> Any:
    return client.work_client.get_work_requirement_by_name("demo", name)


def test_batch_is_followed_to_its_end(local: RunningPlatform, yd: OfficialCli, pool: ProvisionedWorkerPool) -> None:
    specification = yd.file("good.json", batch("good", seconds=0.2))
    answer = yd.run("yd-submit", "--follow", "--exit-on-failure", specification)
    assert "Work Requirement 'good' is COMPLETED" in answer.out
    assert "2 COMPLETED" in answer.out
    assert "Event stream concluded" in answer.out
    assert statuses(local) == [TaskStatus.COMPLETED] * 2
    assert tasks(local)["task-0"].entity.arguments == ["-c", "exit 0"]


def test_failed_batch_is_followed_to_its_end_and_sets_the_exit_code(
    local: RunningPlatform, client: PlatformClient, yd: OfficialCli, pool: ProvisionedWorkerPool
) -> None:
    specification = yd.file("bad.json", batch("bad", seconds=0.2, exit_codes=(0, 3)))
    answer = yd.run("yd-submit", "--follow", "--exit-on-failure", specification, exit_code=1)
    assert "1 COMPLETED, 1 FAILED" in answer.out
    assert "Work Requirement 'bad' is FAILED" in answer.out
    assert work(client, "bad").status is WorkRequirementStatus.FAILED
    (error,) = tasks(local)["task-1"].entity.errors
    assert (error.errorType, error.processExitCode) == (TaskErrorType.PROCESS_NON_ZERO_EXIT, 3)


def test_large_batch_is_submitted_completely(local: RunningPlatform, client: PlatformClient, yd: OfficialCli) -> None:
    one = {"name": "many", "taskGroups": [{"name": "group", "tasks": [{"arguments": ["-c", "true"]}]}]}
    yd.run("yd-submit", "--task-count", "2500", "--parallel-batches", "3", yd.file("many.json", one))
    assert work(client, "many").taskGroups[0].taskSummary.statusCounts == {TaskStatus.READY: 2500}


def test_work_is_held_started_and_cancelled_with_its_tasks_aborted(
    local: RunningPlatform, client: PlatformClient, yd: OfficialCli, pool: ProvisionedWorkerPool
) -> None:
    submitted = yd.run("yd-submit", "--hold", "--json", yd.file("work.json", batch("work"))).json
    assert (submitted["id"], work(client).status) == (work(client).id, WorkRequirementStatus.HELD)
    assert statuses(local) == [TaskStatus.READY] * 2
    assert yd.act("yd-start", "work")["outcome"] == "started"
    assert statuses(local) == [TaskStatus.EXECUTING, TaskStatus.READY]
    assert yd.act("yd-hold", "work")["outcome"] == "held"
    assert work(client).status is WorkRequirementStatus.HELD
    assert yd.act("yd-priority", "7", "work")["previousPriority"] == 0
    assert work(client).priority == 7
    followed = yd.run("yd-cancel", "--yes", "--abort", "--follow", "work")
    assert "Work Requirement 'work' is CANCELLED" in followed.out
    assert statuses(local) == [TaskStatus.ABORTED, TaskStatus.CANCELLED]
    assert yd.act("yd-cancel", "work")["outcome"] == "skipped"


def test_task_is_aborted_and_the_work_finishes(
    local: RunningPlatform, client: PlatformClient, yd: OfficialCli, pool: ProvisionedWorkerPool
) -> None:
    yd.run("yd-submit", yd.file("work.json", batch("work")))
    first = client.work_client.get_task_by_id(tasks(local)["task-0"].entity.id)
    assert first.status is TaskStatus.EXECUTING
    assert yd.act("yd-abort", str(first.id))["outcome"] == "aborted"
    assert statuses(local) == [TaskStatus.ABORTED, TaskStatus.EXECUTING]
    assert yd.act("yd-finish", "work")["outcome"] == "finished"
    assert work(client).status is WorkRequirementStatus.FINISHING
    yd.act("yd-abort", "work")
    waited = yd.run("yd-wait", "--timeout", "30", "--json", str(work(client).id)).item
    assert waited["status"] == work(client).status.value == "COMPLETED"


def test_finished_work_is_followed_at_once_and_compared_with_its_pool(
    local: RunningPlatform, client: PlatformClient, yd: OfficialCli, pool: ProvisionedWorkerPool
) -> None:
    yd.run("yd-submit", yd.file("work.json", batch("work", seconds=0)))
    eventually(lambda: work(client).status is WorkRequirementStatus.COMPLETED)
    assert "2 COMPLETED" in yd.run("yd-follow", str(work(client).id)).out
    comparison = yd.run("yd-compare", "--json", "work", "pool").item
    assert (comparison["workerPoolId"], comparison["workerPoolMatch"]) == (pool.id, "YES")
    properties = {entry["property"]: entry["workerPool"] for entry in comparison["properties"]}
    assert (properties["Worker Tag(s)"], properties["Task Type(s)"], properties["RAM (GB)"]) == ("cpu", "bash", "4.0")
