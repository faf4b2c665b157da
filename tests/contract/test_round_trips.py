"""Round trips: every entity keeps every field that a caller can set."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    Allowance,
    AllowanceSearch,
    AutoShutdown,
    ComputeProvisionStrategy,
    ComputeRequirement,
    ComputeRequirementDynamicTemplate,
    ComputeRequirementStaticTemplate,
    ComputeRequirementTemplateUsage,
    ComputeSource,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    FailurePolicy,
    MachineImageFamily,
    NamespacePolicy,
    NodeWorkerTarget,
    ProvisionedWorkerPoolProperties,
    ResubmissionDestination,
    RunSpecification,
    SimulatorComputeSource,
    Task,
    TaskGroup,
    WorkRequirement,
)

from tests.contract.examples import changed, filled, leaves

# Deprecated in favour of retryPolicy, and refused.
DEPRECATED: dict[str, Any] = {"retryableErrors": None, "maximumTaskRetries": None}


def test_example_sets_every_field() -> None:
    source = filled(SimulatorComputeSource)
    assert (source.failOnProvision, source.limit, source.region, source.instanceTags) == (
        True,
        7,
        "text",
        {"text": "text"},
    )
    assert changed(source, filled(SimulatorComputeSource, limit=8)) == ["SimulatorComputeSource.limit: 7 became 8"]


def test_work_requirement_keeps_every_field(client: PlatformClient) -> None:
    policy = FailurePolicy([filled(ResubmissionDestination, destinationTaskGroup="second")])
    run = filled(RunSpecification, **DEPRECATED, failurePolicy=policy, minWorkers=1, maxWorkers=9)
    # Alone, since only one of the two may say what a group depends on.
    shared: dict[str, Any] = {"starved": False, "waitingOnDependency": False, "taskTemplate": None}
    first = filled(TaskGroup, name="first", runSpecification=run, dependentOn=None, dependencies=None, **shared)
    second = TaskGroup("second", RunSpecification(["text"]), dependencies=["first"], waitingOnDependency=True)
    sent = WorkRequirement("demo", "work", [first, second], tag="tag", priority=2.5)
    made = client.work_client.add_work_requirement(sent)
    assert changed(sent, made) == []
    assert changed(sent, client.work_client.get_work_requirement_by_id(made.id)) == []
    made.priority, made.tag = 3.5, "other"
    assert changed(made, client.work_client.update_work_requirement(made)) == []


def test_task_keeps_every_field(client: PlatformClient) -> None:
    group = TaskGroup("group", RunSpecification(["text"]))
    work = client.work_client.add_work_requirement(WorkRequirement("demo", "work", [group]))
    times = dict.fromkeys(("startedTime", "finishedTime", "workingTime", "abortRequestedTime"))  # the platform's
    sent = filled(Task, data=None, **times)  # data is refused as not covered
    (made,) = client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, [sent])
    assert changed(sent, made) == []
    assert changed(sent, client.work_client.get_task_by_id(made.id)) == []


def test_worker_pool_and_its_requirement_keep_every_field(client: PlatformClient) -> None:
    properties = filled(
        ProvisionedWorkerPoolProperties,
        createNodeWorkers=NodeWorkerTarget.per_vcpus(2),
        nodeConfiguration=None,  # refused as not covered
        minNodes=1,
        maxNodes=9,
    )
    sent = usage("pool", 3)
    pool = client.worker_pool_client.provision_worker_pool(sent, properties)
    assert changed(properties, client.worker_pool_client.get_worker_pool_by_id(pool.id).properties) == []
    requirement = client.compute_client.get_compute_requirement_by_id(pool.computeRequirementId)
    assert (requirement.tag, requirement.targetInstanceCount, requirement.createdFromId) == (
        "tag",
        3,
        template_id(client),
    )
    (source,) = requirement.provisionStrategy.sources
    assert (source.userData, source.instanceTags, source.imageId) == ("#!/bin/sh", {"a": "b"}, "image")


def test_usage_overrides_template_and_source(client: PlatformClient) -> None:
    compute = client.compute_client
    simulated = SimulatorComputeSource("src", instanceTags={"a": "source", "b": "source"}, imageId="source")
    source = compute.add_compute_source_template(ComputeSourceTemplate(simulated, namespace="demo"))
    template = compute.add_compute_requirement_template(
        ComputeRequirementStaticTemplate(
            name="tpl",
            namespace="demo",
            strategyType="co.yellowdog.platform.model.SingleSourceProvisionStrategy",
            sources=[ComputeSourceUsage(source.id)],
            imagesId="template",
            instanceTags={"b": "template", "c": "template"},
        )
    )
    wanted = ComputeRequirementTemplateUsage(str(template.id), "own", instanceTags={"c": "usage"})
    (made,) = compute.provision_compute_requirement_template(wanted).provisionStrategy.sources
    assert made.instanceTags == {"a": "source", "b": "template", "c": "usage"}  # type: ignore[attr-defined]
    assert made.imageId == "template"


def usage(name: str, count: int) -> ComputeRequirementTemplateUsage:
    return filled(
        ComputeRequirementTemplateUsage,
        templateId="demo/local",
        requirementName=name,
        requirementNamespace="demo",
        requirementTag="tag",
        targetInstanceCount=count,
        imagesId="image",
        userData="#!/bin/sh",
        instanceTags={"a": "b"},
        maintainInstanceCount=False,
        autoShutdown=None,
    )


def template_id(client: PlatformClient) -> str:
    return str(client.compute_client.get_compute_requirement_template_by_name("demo", "local").id)


@pytest.mark.parametrize("strategy", leaves(ComputeProvisionStrategy))
def test_compute_requirement_keeps_every_field_and_its_strategy(
    client: PlatformClient, strategy: type[ComputeProvisionStrategy]
) -> None:
    sources = [filled(SimulatorComputeSource, name=name, failOnProvision=False) for name in ("a", "b")]
    several = strategy.__name__ != "SingleSourceProvisionStrategy"
    sent = filled(
        ComputeRequirement,
        namespace="demo",
        name="own",
        provisionStrategy=strategy(sources if several else sources[:1]),  # type: ignore[call-arg]
        targetInstanceCount=2,
        expectedInstanceCount=2,
        nextStatus=None,
        autoShutdown=AutoShutdown(enabled=True, timeout=timedelta(hours=3)),
    )
    made = client.compute_client.add_compute_requirement(sent)
    assert changed(sent, made) == []
    kept = client.compute_client.get_compute_requirement_by_id(made.id)
    assert changed(sent, kept) == []
    assert type(kept.provisionStrategy) is strategy
    assert {type(source) for source in kept.provisionStrategy.sources} == {SimulatorComputeSource}


@pytest.mark.parametrize("source", leaves(ComputeSource))
def test_source_template_keeps_every_field_of_every_clouds_source(
    client: PlatformClient, source: type[ComputeSource]
) -> None:
    sent = filled(ComputeSourceTemplate, source=filled(source, name="extra"), namespace="demo", attributes=None)
    made = client.compute_client.add_compute_source_template(sent)
    kept = client.compute_client.get_compute_source_template(made.id)
    assert changed(sent, kept) == []
    assert type(kept.source) is source


def test_requirement_templates_keep_every_field(client: PlatformClient) -> None:
    (local,) = client.compute_client.find_all_compute_source_templates()
    named: dict[str, Any] = {"namespace": "demo", "strategyType": "co.yellowdog.platform.model.SplitProvisionStrategy"}
    sources = [filled(ComputeSourceUsage, sourceTemplateId=local.id)]
    static = filled(ComputeRequirementStaticTemplate, name="static", sources=sources, **named)
    dynamic = filled(ComputeRequirementDynamicTemplate, name="dynamic", **named)
    for sent in (static, dynamic):
        made = client.compute_client.add_compute_requirement_template(sent)
        kept = client.compute_client.get_compute_requirement_template_by_id(made.id)
        assert changed(sent, kept) == []
        assert type(kept) is type(sent)


def test_image_family_keeps_every_field(client: PlatformClient) -> None:
    sent = filled(MachineImageFamily, namespace="demo", name="images")
    made = client.images_client.add_image_family(sent)
    assert changed(sent, client.images_client.get_image_family_by_id(made.id)) == []


@pytest.mark.parametrize("kind", leaves(Allowance))
def test_allowance_keeps_every_field_of_every_kind(client: PlatformClient, kind: type[Allowance]) -> None:
    sent = filled(kind)
    made = client.allowances_client.add_allowance(sent)
    kept = client.allowances_client.get_allowance_by_id(made.id)
    assert changed(sent, kept) == []
    assert type(kept) is kind
    (found,) = client.allowances_client.get_allowances(AllowanceSearch()).list_all()
    assert (type(found), changed(sent, found)) == (kind, [])


def test_namespace_policy_keeps_every_field(client: PlatformClient) -> None:
    sent = filled(NamespacePolicy, namespace="demo")
    client.namespaces_client.save_namespace_policy(sent)
    assert changed(sent, client.namespaces_client.get_namespace_policy("demo")) == []
