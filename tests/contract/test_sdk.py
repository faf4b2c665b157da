"""The official SDK, unchanged; tests check values, because the SDK loads malformed ones as None."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import requests
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    AutoShutdown,
    ComputeRequirementStaticTemplate,
    ComputeRequirementStatus,
    ComputeRequirementSummarySearch,
    ComputeRequirementTemplateSearch,
    ComputeRequirementTemplateUsage,
    ComputeSourceTemplate,
    ComputeSourceTemplateSearch,
    ComputeSourceUsage,
    CreateNamespaceRequest,
    InstanceSearch,
    InstanceStatus,
    NamespaceSearch,
    NodeSearch,
    NodeStatus,
    ProvisionedWorkerPool,
    ProvisionedWorkerPoolProperties,
    RunSpecification,
    SimulatorComputeSource,
    SimulatorInstance,
    Task,
    TaskGroup,
    TaskGroupStatus,
    TaskSearch,
    TaskStatus,
    WorkerPoolSearch,
    WorkerPoolStatus,
    WorkRequirement,
    WorkRequirementSearch,
    WorkRequirementStatus,
)
from yellowdog_client.model.exceptions import InvalidRequestException

from yellowdog_local.testing import RunningPlatform

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def provision(client: PlatformClient, name: str = "pool", count: int = 1) -> ProvisionedWorkerPool:
    usage = ComputeRequirementTemplateUsage(
        templateId="demo/local",
        requirementNamespace="demo",
        requirementName=name,
        requirementTag="tagged",
        targetInstanceCount=count,
        userData="#!/bin/sh",
    )
    properties = ProvisionedWorkerPoolProperties(
        minNodes=0,
        maxNodes=100_000,
        nodeBootTimeout=timedelta(minutes=5),
        idleNodeShutdown=AutoShutdown(enabled=True, timeout=timedelta(0)),
        workerTag="cpu",
    )
    return client.worker_pool_client.provision_worker_pool(usage, properties)


def submit(client: PlatformClient, name: str = "work", *, keep: bool = True) -> WorkRequirement:
    group = TaskGroup(
        name="head",
        runSpecification=RunSpecification(["bash"], workerTags=["cpu"], namespaces=["demo"]),
        finishIfAllTasksFinished=not keep,
    )
    return client.work_client.add_work_requirement(WorkRequirement("demo", name, [group], tag="mine", priority=2.5))


def add(client: PlatformClient, work: WorkRequirement, *names: str) -> list[Task]:
    tasks = [Task(name=name, taskType="bash", arguments=["taskdata.txt"], taskData="echo hi") for name in names]
    return client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, tasks)


def test_pool_goes_from_pending_to_terminated(local: RunningPlatform, client: PlatformClient) -> None:
    pools = client.worker_pool_client
    pool = provision(client)
    assert isinstance(pool, ProvisionedWorkerPool)
    assert (pool.status, pool.awaitingNodes, pool.expectedNodeCount) == (WorkerPoolStatus.PENDING, True, 1)
    assert (pool.namespace, pool.name, pool.createdTime) == ("demo", "pool", START)
    assert pool.properties.nodeBootTimeout == timedelta(minutes=5)
    assert pool.properties.idleNodeShutdown == AutoShutdown(enabled=True, timeout=timedelta(0))
    local.advance(2)
    assert pools.get_worker_pool_by_id(pool.id).status is WorkerPoolStatus.IDLE
    assert pools.get_worker_pool_by_name("demo", "pool").id == pool.id
    (summary,) = pools.get_worker_pools(WorkerPoolSearch(namespace="demo")).list_all()
    assert (summary.registeredNodeCount, summary.registeredWorkerCount, summary.healthy) == (1, 1, True)
    pools.shutdown_worker_pool_by_id(pool.id)
    pools.shutdown_worker_pool_by_id(pool.id)
    assert pools.get_worker_pool_by_id(pool.id).status is WorkerPoolStatus.TERMINATED


def test_task_refers_to_its_node_and_the_node_to_its_instance(local: RunningPlatform, client: PlatformClient) -> None:
    pool = provision(client)
    local.advance(2)
    (added,) = add(client, submit(client), "head-0")
    assert added.id.startswith("ydid:task:")
    task = client.work_client.get_task_by_id(added.id)
    assert (task.status, task.startedTime) == (TaskStatus.EXECUTING, START + timedelta(seconds=2))
    node = client.worker_pool_client.get_node_by_worker_id(task.workerId)
    assert node.id == task.nodeId
    assert client.worker_pool_client.get_node_by_id(node.id).workerPoolId == pool.id
    assert [worker.taskGroupId for worker in node.workers] == [task.taskGroupId]
    assert (node.status, node.details.workerTag, node.details.supportedTaskTypes) == (
        NodeStatus.RUNNING,
        "cpu",
        ["bash"],
    )
    search = InstanceSearch(computeRequirementId=pool.computeRequirementId)
    (instance,) = client.compute_client.get_instances(search).list_all()
    assert isinstance(instance, SimulatorInstance)
    assert instance.id.instanceId == node.details.instanceId
    assert instance.status is InstanceStatus.RUNNING
    assert instance.privateIpAddress == node.details.privateIpAddress
    assert instance.publicIpAddress is not None


def test_aborted_task_frees_its_worker_and_the_idle_node_shuts_down(
    local: RunningPlatform, client: PlatformClient
) -> None:
    pool = provision(client)
    local.advance(2)
    (task,) = add(client, submit(client), "a")
    answer = client.work_client.cancel_task_by_id(task.id, abort=True)
    assert (answer.status, answer.abortRequestedTime) == (TaskStatus.EXECUTING, START + timedelta(seconds=2))
    assert client.work_client.get_task_by_id(task.id).status is TaskStatus.ABORTED
    nodes = client.worker_pool_client.get_nodes(NodeSearch(workerPoolId=pool.id, statuses=[NodeStatus.RUNNING]))
    assert nodes.list_all() == []


def test_work_requirement_accepts_more_task_groups_and_tasks(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    assert (work.status, work.taskGroups[0].status) == (WorkRequirementStatus.RUNNING, TaskGroupStatus.PENDING)
    first_change = work.taskGroups[0].taskSummary.lastUpdatedTime
    add(client, work, "a", "b")
    work = client.work_client.get_work_requirement_by_id(work.id)
    assert work.taskGroups[0].taskSummary.statusCounts == {TaskStatus.READY: 2}
    assert work.taskGroups[0].taskSummary.lastUpdatedTime > first_change
    assert work.taskGroups[0].starved
    work.taskGroups.append(TaskGroup(name="workers", runSpecification=RunSpecification(["bash"])))
    work = client.work_client.update_work_requirement(work)
    assert [group.name for group in work.taskGroups] == ["head", "workers"]
    assert work.taskGroups[1].id == work.id.replace("workreq", "taskgrp") + ":2"
    (by_name,) = client.work_client.add_tasks_to_task_group_by_name("demo", "work", "workers", [Task(taskType="bash")])
    assert by_name.taskGroupId == work.taskGroups[1].id


def test_work_requirement_is_held_started_finished_and_cancelled(client: PlatformClient) -> None:
    work = submit(client)
    assert client.work_client.hold_work_requirement_by_id(work.id).status is WorkRequirementStatus.HELD
    assert client.work_client.start_work_requirement_by_id(work.id).status is WorkRequirementStatus.RUNNING
    finished = client.work_client.finish_work_requirement_by_id(work.id)
    assert finished.status is WorkRequirementStatus.COMPLETED
    other = submit(client, "other")
    cancelled = client.work_client.cancel_work_requirement_by_id(other.id, abort=True)
    assert cancelled.status is WorkRequirementStatus.CANCELLED
    with pytest.raises(requests.HTTPError, match="InvalidWorkRequirementStatusException") as refused:
        client.work_client.cancel_work_requirement_by_id(other.id)
    assert refused.value.response.status_code == 403


def test_search_pages_through_everything_in_order_of_creation(client: PlatformClient) -> None:
    work = submit(client)
    add(client, work, *[f"t{n}" for n in range(10)])
    found = client.work_client.find_tasks(TaskSearch(workRequirementId=work.id, statuses=[TaskStatus.READY]))
    assert [task.name for task in found] == [f"t{n}" for n in range(10)]
    for n in range(4):
        submit(client, f"more-{n}")
    search = WorkRequirementSearch(namespace="demo", name="more", statuses=[WorkRequirementStatus.RUNNING])
    summaries = client.work_client.get_work_requirements(search).list_all()
    assert [s.name for s in summaries] == ["more-0", "more-1", "more-2", "more-3"]
    assert (summaries[0].totalTaskCount, summaries[0].healthy, summaries[0].tag) == (0, True, "mine")


def test_terminated_requirement_ends_its_pool(local: RunningPlatform, client: PlatformClient) -> None:
    pool = provision(client)
    local.advance(2)
    requirement = client.compute_client.get_compute_requirement_by_id(pool.computeRequirementId)
    assert (requirement.status, requirement.tag) == (ComputeRequirementStatus.RUNNING, "tagged")
    assert requirement.provisionStrategy.sources[0].instanceSummary.aliveCount == 1
    client.compute_client.terminate_compute_requirement_by_id(requirement.id)
    client.compute_client.terminate_compute_requirement_by_id(requirement.id)
    search = ComputeRequirementSummarySearch(namespace="demo", statuses=[ComputeRequirementStatus.TERMINATED])
    (summary,) = client.compute_client.get_compute_requirement_summaries(search).list_all()
    assert (summary.name, summary.aliveInstanceCount) == ("pool", 0)
    assert client.worker_pool_client.get_worker_pool_by_id(pool.id).status is WorkerPoolStatus.TERMINATED


def test_templates_are_stored_found_and_deleted(client: PlatformClient) -> None:
    compute = client.compute_client
    source = SimulatorComputeSource(name="extra", instanceStartupTimeSeconds=7)
    source_template = compute.add_compute_source_template(ComputeSourceTemplate(source=source, namespace="demo"))
    assert compute.get_compute_source_template(source_template.id).source.instanceStartupTimeSeconds == 7
    template = compute.add_compute_requirement_template(
        ComputeRequirementStaticTemplate(
            name="extra",
            namespace="demo",
            strategyType="co.yellowdog.platform.model.SingleSourceProvisionStrategy",
            sources=[ComputeSourceUsage(source_template.id)],
        )
    )
    by_name = compute.get_compute_requirement_template_by_name("demo", "extra")
    assert isinstance(by_name, ComputeRequirementStaticTemplate)
    assert by_name.id == template.id
    names = [t.name for t in compute.find_all_compute_requirement_templates()]
    assert names == ["local", "extra"]
    search = ComputeRequirementTemplateSearch(name="extra", namespaces=["demo"])
    assert [t.id for t in compute.get_compute_requirement_templates(search).list_all()] == [template.id]
    source_template.source.instanceStartupTimeSeconds = 8  # type: ignore[attr-defined]
    assert compute.update_compute_source_template(source_template) == source_template
    assert compute.get_compute_source_template_by_name("demo", "extra").source.instanceStartupTimeSeconds == 8
    template.description = "changed"
    assert compute.update_compute_requirement_template(template) == template
    assert compute.get_compute_requirement_template_by_id(template.id).description == "changed"
    assert [t.name for t in compute.find_all_compute_source_templates()] == ["local", "extra"]
    compute.delete_compute_requirement_template(template)
    compute.delete_compute_source_template(source_template)
    sources = compute.get_compute_source_templates(ComputeSourceTemplateSearch()).list_all()
    assert [(s.name, s.sourceType) for s in sources] == [
        ("local", "co.yellowdog.platform.model.SimulatorComputeSource")
    ]


def test_namespaces_are_created_listed_and_deleted_when_empty(client: PlatformClient) -> None:
    namespaces = client.namespaces_client
    made = namespaces.create_namespace(CreateNamespaceRequest("mine"))
    assert namespaces.get_namespace(made).namespace == "mine"
    found = namespaces.get_namespaces(NamespaceSearch()).list_all()
    assert [(n.namespace, n.deletable) for n in found] == [("demo", False), ("mine", True)]
    namespaces.delete_namespace(made)
    assert [n.namespace for n in namespaces.get_namespaces(NamespaceSearch()).list_all()] == ["demo"]


def test_application_names_the_owner_of_the_key(client: PlatformClient) -> None:
    details = client.application_client.get_application_details()
    assert (details.accountName, details.allNamespacesReadable) == ("local", True)


def test_duplicate_pool_is_an_invalid_request(client: PlatformClient) -> None:
    provision(client)
    with pytest.raises(InvalidRequestException, match="already exists"):
        provision(client)


def test_duplicate_task_names_are_refused_with_the_known_text(client: PlatformClient) -> None:
    work = submit(client)
    add(client, work, "a")
    with pytest.raises(requests.HTTPError, match="Task names must be unique within task group"):
        add(client, work, "a")


def test_unknown_entity_is_status_404(client: PlatformClient) -> None:
    for call in (
        lambda: client.work_client.get_work_requirement_by_name("demo", "none"),
        lambda: client.worker_pool_client.get_worker_pool_by_id("ydid:wrkrpool:0:none"),
        lambda: client.compute_client.get_compute_requirement_by_id("ydid:compreq:0:none"),
    ):
        with pytest.raises(requests.HTTPError, match="NotFoundException") as missing:
            call()
        assert missing.value.response.status_code == 404


def test_large_batch_is_sent_compressed(client: PlatformClient) -> None:
    work = submit(client)
    added = add(client, work, *[f"task-{n}" for n in range(500)])
    assert [task.name for task in added] == [f"task-{n}" for n in range(500)]


def test_empty_batch_adds_nothing(client: PlatformClient) -> None:
    work = submit(client)
    assert client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, []) == []
