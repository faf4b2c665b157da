from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from yellowdog_client.model import (
    CloudProvider,
    ComputeRequirementSummarySearch,
    ComputeSourceStatus,
    DoubleRange,
    ImageOsType,
    InstanceSearch,
    InstanceStatus,
    InstantRange,
    MachineImage,
    MachineImageFamily,
    MachineImageFamilySearch,
    MachineImageGroup,
    NodeSearch,
    NodeStatus,
    TaskSearch,
    TaskStatus,
    WorkerPoolSearch,
    WorkerPoolStatus,
    WorkerStatus,
    WorkRequirementSearch,
)

from tests.simulation.lab import Lab
from yellowdog_local.state import search


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({}, True),
        ({"namespace": "demo", "name": "or", "tag": ""}, True),
        ({"namespace": "dem"}, False),
        ({"namespaces": ["other"]}, False),
        ({"name": "Work"}, False),
        ({"tag": "t"}, False),
        ({"isHealthy": True}, True),
        ({"isHealthy": False}, False),
    ],
)
def test_work_matches_in_all_fields(lab: Lab, fields: dict[str, Any], matches: bool) -> None:
    assert search.work_matches(lab.work(), WorkRequirementSearch(**fields)) is matches


def test_work_with_a_failed_task_is_unhealthy(lab: Lab) -> None:
    work = lab.work()
    work.groups[0].counts[TaskStatus.FAILED] = 1
    assert search.work_matches(work, WorkRequirementSearch(isHealthy=False))


def test_times_match_inclusively_and_a_missing_one_only_without_limits(lab: Lab) -> None:
    work = lab.work()
    step = timedelta(seconds=1)
    for limits, matches in (
        (InstantRange(work.created, work.created), True),
        (InstantRange(work.created + step), False),
        (InstantRange(None, work.created - step), False),
    ):
        assert search.work_matches(work, WorkRequirementSearch(createdTime=limits)) is matches
    (task,) = lab.tasks(work.groups[0], "a")
    assert search.task_matches(task, TaskSearch(startedTime=InstantRange()))
    assert not search.task_matches(task, TaskSearch(startedTime=InstantRange(work.created)))


@pytest.mark.parametrize(
    ("fields", "matches", "looks"),
    [
        ({"statuses": [TaskStatus.READY]}, True, False),
        ({"name": "as"}, True, True),
        ({"tagStartsWith": "on"}, True, True),
        ({"tagStartsWith": "ne"}, False, True),
        ({"tag": "ne"}, True, True),
        ({"hasErrors": True}, False, True),
        ({"hasErrors": False, "hasInputs": False}, True, True),
        ({"hasOutputs": True}, False, True),
    ],
)
def test_task_matches_in_all_fields(lab: Lab, fields: dict[str, Any], matches: bool, looks: bool) -> None:
    (task,) = lab.tasks(lab.group(), "task", tag="one")
    wanted = TaskSearch(**fields)
    assert (search.task_matches(task, wanted), search.looks_into_tasks(wanted)) == (matches, looks)


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"statuses": [NodeStatus.RUNNING]}, True),
        ({"statuses": [NodeStatus.LATE]}, False),
        ({"vcpus": DoubleRange(2, 2)}, True),
        ({"ram": DoubleRange(5)}, False),
        ({"region": "none"}, False),
        ({"providers": [CloudProvider.OCI]}, False),
        ({"workerStatuses": [WorkerStatus.STOPPED]}, True),
        ({"workerStatuses": [WorkerStatus.RUNNING]}, False),
        ({"workerTaskGroupId": "none"}, False),
        ({"preemptionWarningTime": InstantRange()}, True),
    ],
)
def test_node_matches_in_all_fields(lab: Lab, fields: dict[str, Any], matches: bool) -> None:
    assert search.node_matches(lab.node(lab.booted()), NodeSearch(**fields)) is matches


def test_one_worker_must_match_group_and_status(lab: Lab) -> None:
    node, group = lab.node(lab.booted()), lab.group()
    lab.tasks(group, "a")
    for status, matches in ((WorkerStatus.RUNNING, True), (WorkerStatus.STOPPED, False)):
        wanted = NodeSearch(workerTaskGroupId=group.id, workerStatuses=[status])
        assert search.node_matches(node, wanted) is matches


def test_health_of_pool_and_requirement_follows_nodes_and_sources(lab: Lab) -> None:
    pool = lab.booted()
    healthy = WorkerPoolSearch(name="oo", statuses=[WorkerPoolStatus.IDLE], isHealthy=True)
    assert search.pool_matches(pool, healthy)
    pool.node_counts[NodeStatus.LATE] = 1
    assert not search.pool_matches(pool, healthy)
    requirement = pool.requirement
    assert search.requirement_matches(requirement, ComputeRequirementSummarySearch(isHealthy=True))
    requirement.sources[0].entity.status = ComputeSourceStatus.ERRORED
    assert search.requirement_matches(requirement, ComputeRequirementSummarySearch(isHealthy=False))


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"statuses": [InstanceStatus.RUNNING]}, True),
        ({"statuses": [InstanceStatus.STOPPED]}, False),
        ({"computeSourceId": "none"}, False),
        ({"hostname": "none"}, False),
        ({"imageIds": ["none"]}, False),
        ({"regions": []}, True),
    ],
)
def test_instance_matches_in_all_fields(lab: Lab, fields: dict[str, Any], matches: bool) -> None:
    assert search.instance_matches(lab.node(lab.booted()).instance, InstanceSearch(**fields)) is matches


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"familyName": "bun", "namespace": "demo"}, True),
        ({"osType": ImageOsType.WINDOWS}, False),
        ({"groupName": "v2"}, True),
        ({"groupName": "v3"}, False),
        ({"providers": [CloudProvider.AWS]}, True),
        ({"providers": [CloudProvider.OCI]}, False),
        ({"regions": ["eu", "us"]}, True),
        ({"regions": ["us"]}, False),
        ({"supportedInstanceTypes": ["any"]}, True),
    ],
)
def test_family_matches_if_one_group_and_one_image_do(fields: dict[str, Any], matches: bool) -> None:
    linux = ImageOsType.LINUX
    image = MachineImage("a", CloudProvider.AWS, "ami-1", linux, regions=["eu"])
    groups = [MachineImageGroup("v1", linux, images=[image]), MachineImageGroup("v2", linux)]
    family = MachineImageFamily("demo", "ubuntu", linux, imageGroups=groups)
    assert search.image_family_matches(family, MachineImageFamilySearch(**fields)) is matches
