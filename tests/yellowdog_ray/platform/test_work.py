"""Calls of the work service."""

from datetime import timedelta

import pytest
from yellowdog_client.model import Task, WorkRequirement, WorkRequirementStatus, WorkRequirementSummary
from yellowdog_client.model.exceptions import InvalidRequestException

from tests.yellowdog_ray.platform.fake_sdk import Search, calls_of
from yellowdog_ray.errors import MalformedResponse, Refused
from yellowdog_ray.platform.types import TaskSpec
from yellowdog_ray.platform.work import LIMIT_SECONDS, WorkCalls

SPECS = [TaskSpec(f"cpu-{number}", "", {}, timedelta(hours=1)) for number in range(250)]


def refusal(text):
    return InvalidRequestException("InvalidRequestException", [text])


def made(entity, **fields):
    for name, value in fields.items():
        setattr(entity, name, value)
    return entity


class Submissions:
    """A platform that takes at most 100 tasks a call."""

    def __init__(self, text="No more than 100 tasks can be added at once"):
        self.sizes = []
        self._text = text

    def add(self, _, batch):
        self.sizes.append(len(batch))
        if len(batch) > 100:
            raise refusal(self._text)
        return [made(task, id=f"ydid:task:{task.name}") for task in batch]


def test_refused_batch_is_repeated_with_the_limit_that_the_platform_states():
    platform = Submissions()
    work = calls_of(WorkCalls, work_client={"add_tasks_to_task_group_by_id": platform.add})

    assert [task.name for task in work.submit_tasks("g", SPECS)] == [spec.name for spec in SPECS]
    assert platform.sizes == [250, 100, 100, 50]

    work.submit_tasks("g", SPECS)
    assert platform.sizes[4:] == [100, 100, 50]


def test_learnt_limit_of_tasks_is_dropped_after_its_time():
    platform, time = Submissions(), [0.0]
    work = calls_of(WorkCalls, lambda: time[0], work_client={"add_tasks_to_task_group_by_id": platform.add})
    work.submit_tasks("g", SPECS)
    platform.sizes.clear()

    time[0] += LIMIT_SECONDS
    work.submit_tasks("g", SPECS)

    assert platform.sizes == [250, 100, 100, 50]


def test_refusal_that_states_no_limit_is_raised_at_once():
    platform = Submissions("no such task group")
    work = calls_of(WorkCalls, work_client={"add_tasks_to_task_group_by_id": platform.add})

    with pytest.raises(Refused, match="no such task group"):
        work.submit_tasks("g", SPECS)
    assert platform.sizes == [250]


@pytest.mark.parametrize("answer", [lambda batch: [], lambda batch: batch[1:], lambda batch: [*batch, batch[0]]])
def test_answer_with_other_tasks_than_were_submitted_is_malformed(answer):
    """An empty answer, taken for a launch, would make autoscaler v2 wait ten minutes for nodes that do not exist."""

    def add(_, batch):
        return answer([made(task, id=f"ydid:task:{task.name}") for task in batch])

    work = calls_of(WorkCalls, work_client={"add_tasks_to_task_group_by_id": add})

    with pytest.raises(MalformedResponse):
        work.submit_tasks("g", SPECS[:3])


def test_work_requirements_of_other_namespaces_are_left_out():
    found = [WorkRequirementSummary(id=f"w-{name}", namespace=name, name="demo") for name in ("demo", "demo-2")]
    work = calls_of(WorkCalls, work_client={"get_work_requirements": lambda _: Search(*found)})

    assert [entry.id for entry in work.work_requirements("demo", finished=True)] == ["w-demo"]


def test_specification_of_a_task_without_script_and_environment_is_empty():
    task = made(Task(name="cpu-1"), id="t")
    work = calls_of(WorkCalls, work_client={"get_task_by_id": lambda _: task})

    assert work.task_spec("t") == TaskSpec("cpu-1", "", {}, timedelta(0))


@pytest.mark.parametrize("status", [WorkRequirementStatus.CANCELLED, WorkRequirementStatus.RUNNING])
def test_refused_cancellation_is_an_error_unless_the_work_requirement_has_ended(status):
    def refuse(*_, **__):
        raise refusal("not now")

    requirement = made(WorkRequirement("demo", "demo", []), id="w", status=status)
    work = calls_of(
        WorkCalls,
        work_client={"cancel_work_requirement_by_id": refuse, "get_work_requirement_by_id": lambda _: requirement},
    )

    if status.finished:
        work.cancel_work_requirement("w")
    else:
        with pytest.raises(Refused, match="not now"):
            work.cancel_work_requirement("w")
