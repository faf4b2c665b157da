"""Conversions between the SDK's entities of work and RayDog's views."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from yellowdog_client.model import (
    CloudProvider,
    RunSpecification,
    Task,
    TaskGroup,
    TaskStatus,
    TaskSummary,
    WorkRequirement,
    WorkRequirementStatus,
    WorkRequirementSummary,
)

from tests.yellowdog_ray.platform.entities import NO_OBJECTS, filled
from yellowdog_ray.errors import MalformedResponse
from yellowdog_ray.platform.convert import (
    task_entity,
    task_errors,
    task_group_entity,
    task_view,
    work_entry,
    work_view,
)
from yellowdog_ray.platform.types import Placement, TaskGroupSpec, TaskPhase, TaskSpec, WorkRequirementEntry

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
LATER = NOW + timedelta(hours=1)
HOUR = timedelta(hours=1)


class TestWorkRequirement:
    @pytest.mark.parametrize("part", NO_OBJECTS)
    def test_task_group_that_is_no_object_is_malformed(self, part):
        with pytest.raises(MalformedResponse):
            work_view(self.work(taskGroups=[self.group(), part]))

    @pytest.mark.parametrize("field", ["runSpecification", "taskSummary"])
    def test_task_group_with_a_broken_part_is_malformed(self, field):
        part = TaskSummary(taskCount=1, statusCounts={TaskStatus.READY: "x"}) if field == "taskSummary" else None

        with pytest.raises(MalformedResponse):
            work_view(self.work(taskGroups=[self.group(**{field: part})]))

    def group(self, **fields):
        spec = RunSpecification(
            ["bash"], workerTags=["t1"], namespaces=["ns"], providers=[CloudProvider.AWS], taskTimeout=HOUR
        )
        return filled(
            TaskGroup(name="cpu", runSpecification=spec), **{"id": "g-1", "tag": "t1", "taskSummary": None, **fields}
        )

    def work(self, **fields):
        known = {"id": "w-1", "status": WorkRequirementStatus.RUNNING, "createdTime": NOW, "statusChangedTime": LATER}
        return filled(WorkRequirement("demo", "ray", [self.group()]), **{**known, **fields})

    def test_view_has_all_fields(self):
        view = work_view(self.work())

        assert (view.id, view.name, view.status, view.created, view.status_changed) == (
            "w-1", "ray", "RUNNING", NOW, LATER,
        )  # fmt: skip
        (group,) = view.groups
        assert (group.id, group.name, group.worker_tag, group.task_timeout) == ("g-1", "cpu", "t1", HOUR)
        assert group.placement == Placement(("t1",), ("ns",), ("AWS",))
        assert group.counts is None

    @pytest.mark.parametrize(
        ("status", "finished", "cancelling"),
        [
            (WorkRequirementStatus.RUNNING, False, False),
            (WorkRequirementStatus.CANCELLING, False, True),
            (WorkRequirementStatus.CANCELLED, True, False),
            (None, False, False),
        ],
    )
    def test_view_ends_with_its_status(self, status, finished, cancelling):
        view = work_view(self.work(status=status))

        assert (view.finished, view.cancelling) == (finished, cancelling)

    def test_missing_creation_time_is_unknown(self):
        assert work_view(self.work(createdTime=None)).created is None

    @pytest.mark.parametrize("group", [{"id": None}, {}])
    def test_missing_id_is_malformed(self, group):
        work = self.work() if group else self.work(id=None)
        work.taskGroups = [self.group(**group)]

        with pytest.raises(MalformedResponse, match="a task group" if group else "a work requirement"):
            work_view(work)

    def test_counts_add_up_by_phase(self):
        counts = {TaskStatus.PENDING: 1, TaskStatus.READY: 2, TaskStatus.EXECUTING: 4, TaskStatus.FAILED: 8}
        work = self.work()
        work.taskGroups = [self.group(taskSummary=TaskSummary(counts, 15, LATER))]

        (group,) = work_view(work).groups

        assert group.counts is not None
        assert (group.counts.live, group.counts.ended, group.counts.changed) == (7, 8, LATER)
        assert group.counts.at[TaskPhase.ENDED] == 8

    @pytest.mark.parametrize(
        ("counts", "count", "changed", "known"),
        [
            (None, 3, LATER, False),
            ({}, 3, LATER, False),
            (None, 0, None, False),
            (None, 0, LATER, True),
            ({}, 0, None, True),
        ],
    )
    def test_counts_are_unknown_if_there_are_tasks_or_nothing_is_given(self, counts, count, changed, known):
        work = self.work()
        work.taskGroups = [self.group(taskSummary=TaskSummary(counts, count, changed))]

        assert (work_view(work).groups[0].counts is not None) == known

    def test_head_group_is_first_in_any_order_of_the_platform(self):
        work = self.work()
        work.taskGroups = [self.group(), self.group(name="head"), self.group(name="gpu")]

        assert [group.name for group in work_view(work).groups] == ["head", "cpu", "gpu"]

    def test_group_without_a_tag_of_its_own_has_none(self):
        work = self.work()
        work.taskGroups = [self.group(tag=None)]

        (group,) = work_view(work).groups
        assert (group.worker_tag, group.placement.worker_tags) == ("", ("t1",))

    def test_entry_has_all_fields(self):
        fields = {"id": "w-1", "namespace": "demo", "name": "ray", "createdTime": NOW}
        summary = filled(WorkRequirementSummary(), status=WorkRequirementStatus.COMPLETED, **fields)

        assert work_entry(summary) == WorkRequirementEntry("w-1", "ray", finished=True, created=NOW, namespace="demo")

    @pytest.mark.parametrize("field", ["id", "namespace", "name"])
    def test_entry_without_identity_is_malformed(self, field):
        fields = {"id": "w-1", "namespace": "demo", "name": "ray", "status": None, "createdTime": NOW, field: None}

        with pytest.raises(MalformedResponse, match="a listed work requirement: no id or name"):
            work_entry(filled(WorkRequirementSummary(), **fields))


class TestTaskGroupEntity:
    def test_group_of_its_own_pool_is_placed_by_its_tag(self):
        entity = task_group_entity(TaskGroupSpec("cpu", "ray-cpu-1", HOUR, None), "ns")

        spec = entity.runSpecification
        assert (entity.name, entity.tag, spec.taskTypes, spec.taskTimeout) == ("cpu", "ray-cpu-1", ["bash"], HOUR)
        assert (spec.workerTags, spec.namespaces, spec.providers) == (["ray-cpu-1"], ["ns"], None)
        assert spec.maximumTaskRetries == 0
        assert not entity.finishIfAllTasksFinished
        assert not entity.finishIfAnyTaskFailed

    def test_group_of_a_configured_pool_is_placed_as_configured(self):
        placement = Placement((), ("theirs",), ("ON_PREMISE",))

        spec = task_group_entity(TaskGroupSpec("cpu", "ray-cpu-1", HOUR, placement), "ns").runSpecification

        assert (spec.workerTags, spec.namespaces) == (None, ["theirs"])
        assert spec.providers == [CloudProvider.ON_PREMISE]


class TestTask:
    TAGS = '{"ray-node-type": "worker"}'

    def task(self, **fields):
        known = {"id": "t-1", "taskGroupId": "g-1", "status": TaskStatus.EXECUTING, "nodeId": "n-1"}
        environment = {"RAY_CLOUD_INSTANCE_ID": "cpu-1", "RAYDOG_NODE_TAGS": self.TAGS}
        return filled(Task(taskType="bash", name="cpu-1", environment=environment), **{**known, **fields})

    def test_entity_has_script_environment_and_timeout(self):
        entity = task_entity(TaskSpec("cpu-1", "#!/bin/bash", {"A": "1"}, HOUR))

        assert (entity.name, entity.taskType, entity.taskData) == ("cpu-1", "bash", "#!/bin/bash")
        assert (entity.arguments, entity.environment, entity.timeout) == (["taskdata.txt"], {"A": "1"}, HOUR)

    def test_view_has_all_fields(self):
        view = task_view(self.task(finishedTime=LATER))

        assert (view.id, view.name, view.group_id, view.status) == ("t-1", "cpu-1", "g-1", "EXECUTING")
        assert (view.platform_node_id, view.tags, view.ended) == ("n-1", {"ray-node-type": "worker"}, LATER)
        assert view.errors == ()
        assert not view.abort_requested

    @pytest.mark.parametrize(
        ("status", "executing", "finished"),
        [
            (TaskStatus.READY, False, False),
            (TaskStatus.EXECUTING, True, False),
            (TaskStatus.UPLOADING, True, False),
            (TaskStatus.ABORTED, False, True),
            (None, False, False),
        ],
    )
    def test_view_has_the_phase_of_its_status(self, status, executing, finished):
        view = task_view(self.task(status=status))

        assert (view.executing, view.finished) == (executing, finished)
        assert view.status == (status or TaskStatus.PENDING).value

    def test_view_shows_a_requested_abort(self):
        assert task_view(self.task(abortRequestedTime=NOW)).abort_requested

    def test_missing_id_is_malformed(self):
        with pytest.raises(MalformedResponse, match="a task: no id or name"):
            task_view(self.task(id=None))

    @pytest.mark.parametrize(
        "environment",
        [
            None,
            {"RAY_CLOUD_INSTANCE_ID": "another", "RAYDOG_NODE_TAGS": TAGS},
            {"RAY_CLOUD_INSTANCE_ID": "cpu-1"},
            {"RAY_CLOUD_INSTANCE_ID": "cpu-1", "RAYDOG_NODE_TAGS": "no JSON"},
            {"RAY_CLOUD_INSTANCE_ID": "cpu-1", "RAYDOG_NODE_TAGS": "[" * 100_000},
            {"RAY_CLOUD_INSTANCE_ID": "cpu-1", "RAYDOG_NODE_TAGS": '["a list"]'},
            {"RAY_CLOUD_INSTANCE_ID": "cpu-1", "RAYDOG_NODE_TAGS": '{"a": 1}'},
        ],
        ids=["none", "copy", "no tags", "no JSON", "deep", "list", "number"],
    )
    def test_task_that_is_no_node_of_ours_has_no_tags(self, environment):
        assert task_view(self.task(environment=environment)).tags == {}

    def test_errors_are_texts(self):
        errors = [
            SimpleNamespace(errorType=SimpleNamespace(value="PROCESS_FAILED"), error="it failed", processExitCode=0),
            SimpleNamespace(errorType="LOST", error="gone", processExitCode=None),
        ]

        assert task_view(self.task(errors=errors)).errors == ("PROCESS_FAILED: it failed (exit code 0)", "LOST: gone")

    @pytest.mark.parametrize(
        ("errors", "shown"),
        [([None], []), (["x"], [(None, "x")]), ("broken", [(None, "broken")]), ({"a": 1}, [(None, "{'a': 1}")])],
    )
    def test_error_that_is_no_object_is_shown_as_it_is(self, errors, shown):
        assert task_errors(self.task(errors=errors)) == shown

    def test_error_without_a_plausible_time_has_none(self):
        error = SimpleNamespace(errorType="LOST", error="gone", timestamp=datetime.max.replace(tzinfo=timezone.utc))

        assert task_errors(self.task(errors=[error])) == [(None, "LOST: gone")]

    def test_times_that_are_not_plausible_are_missing(self):
        far = datetime.max.replace(tzinfo=timezone.utc)

        view = task_view(self.task(startedTime=far, finishedTime=far))

        assert (view.started, view.ended) == (None, None)
