"""Searches: which records match. Names and tags match in part, namespaces and ids as a whole. No I/O, no state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, TypeVar

from yellowdog_client.model import (
    Allowance,
    AllowanceSearch,
    ComputeRequirementSearch,
    ComputeRequirementSummarySearch,
    ComputeSourceStatus,
    InstanceSearch,
    InstanceType,
    InstanceTypeSearch,
    MachineImageFamily,
    MachineImageFamilySearch,
    NodeSearch,
    NodeStatus,
    TaskSearch,
    TaskStatus,
    WorkerPoolSearch,
    WorkRequirementSearch,
)

from yellowdog_local.state.records import (
    InstanceRecord,
    NodeRecord,
    PoolRecord,
    RequirementRecord,
    TaskRecord,
    WorkRecord,
)

_T = TypeVar("_T")


def work_healthy(work: WorkRecord) -> bool:
    """Whether no task of a work requirement has failed."""
    return not any(group.counts[TaskStatus.FAILED] for group in work.groups)


def pool_healthy(pool: PoolRecord) -> bool:
    """Whether no platform node of a pool is late and its requirement is healthy."""
    return not pool.node_counts[NodeStatus.LATE] and requirement_healthy(pool.requirement)


def requirement_healthy(requirement: RequirementRecord) -> bool:
    """Whether no source of a requirement has failed."""
    return all(s.entity.status is not ComputeSourceStatus.ERRORED for s in requirement.sources)


def work_matches(work: WorkRecord, search: WorkRequirementSearch) -> bool:
    """Whether a work requirement matches a search."""
    entity = work.entity
    return (
        _namespace(entity.namespace, search.namespace, search.namespaces)
        and _part(search.name, entity.name)
        and _part(search.tag, entity.tag)
        and _one_of(search.statuses, work.status)
        and _same(search.isHealthy, work_healthy(work))
        and _within(search.createdTime, work.created)
        and _within(search.statusChangedTime, entity.statusChangedTime)
    )


def looks_into_tasks(search: TaskSearch) -> bool:
    """Whether a search filters by more than requirement, task group and status, which are indexed."""
    beyond = ("name", "tag", "tagStartsWith", "hasErrors", "hasInputs", "hasOutputs", "startedTime", "finishedTime")
    return any(getattr(search, name) is not None for name in beyond)


def task_matches(task: TaskRecord, search: TaskSearch) -> bool:
    """Whether a task matches a search; requirement, task group and status have been compared before."""
    entity = task.entity
    return (
        _part(search.name, entity.name)
        and _part(search.tag, entity.tag)
        and (search.tagStartsWith is None or (entity.tag or "").startswith(search.tagStartsWith))
        and _same(search.hasErrors, bool(entity.errors))
        # Tasks with data are refused, so none has inputs or outputs.
        and not search.hasInputs
        and not search.hasOutputs
        and _within(search.startedTime, entity.startedTime)
        and _within(search.finishedTime, entity.finishedTime)
    )


def pool_matches(pool: PoolRecord, search: WorkerPoolSearch) -> bool:
    """Whether a worker pool matches a search."""
    return (
        _namespace(pool.namespace, search.namespace, search.namespaces)
        and _part(search.name, pool.name)
        and _same(search.type, pool.entity.type)
        and _one_of(search.statuses, pool.status)
        and _within(search.createdTime, pool.created)
        and _same(search.isHealthy, pool_healthy(pool))
    )


def node_matches(node: NodeRecord, search: NodeSearch) -> bool:
    """Whether a platform node matches a search; its pool has been compared before."""
    entity, details = node.entity, node.entity.details
    return (
        details is not None
        and _one_of(search.statuses, node.status)
        and _one_of(search.providers, details.provider)
        and _same(search.instanceId, details.instanceId)
        and _same(search.region, details.region)
        and _same(search.instanceType, details.instanceType)
        and _same(search.workerTag, details.workerTag)
        and _within(search.ram, details.ram)
        and _within(search.vcpus, details.vcpus)
        and _within(search.registeredTime, entity.registeredTime)
        and _within(search.deregisteredTime, entity.deregisteredTime)
        and _within(search.preemptionWarningTime, entity.preemptionWarningTime)
        and _workers_match(node, search)
    )


def requirement_matches(
    requirement: RequirementRecord, search: ComputeRequirementSearch | ComputeRequirementSummarySearch
) -> bool:
    """Whether a compute requirement matches a search."""
    namespaces = healthy = None
    if isinstance(search, ComputeRequirementSummarySearch):
        namespaces, healthy = search.namespaces, search.isHealthy
    return (
        _namespace(requirement.namespace, search.namespace, namespaces)
        and _part(search.name, requirement.name)
        and _part(search.tag, requirement.entity.tag)
        and _one_of(search.statuses, requirement.status)
        and _within(search.createdTime, requirement.created)
        and _same(healthy, requirement_healthy(requirement))
    )


def instance_matches(instance: InstanceRecord, search: InstanceSearch) -> bool:
    """Whether an instance matches a search; its requirement has been compared before."""
    entity = instance.entity
    return (
        _same(search.computeSourceId, instance.source.id)
        and _one_of(search.providers, entity.provider)
        and _one_of(search.regions, entity.region)
        and _one_of(search.statuses, instance.status)
        and _one_of(search.imageIds, entity.imageId)
        and _same(search.publicIpAddress, entity.publicIpAddress)
        and _same(search.privateIpAddress, entity.privateIpAddress)
        and _same(search.hostname, entity.hostname)
    )


def instance_type_matches(kind: InstanceType, search: InstanceTypeSearch) -> bool:
    """Whether an instance type matches a search."""
    regions = [r for r in kind.regions or () if _same(search.region, r.name)]
    return (
        _one_of(search.providers, kind.provider)
        and _part(search.name, kind.name)
        and _one_of(search.processorArchitectures, kind.processorArchitecture)
        and _within(search.defaultVcpus, kind.defaultVcpus)
        and _within(search.ramInMib, kind.ramInMib)
        and (search.region is None or bool(regions))
        and _some(search.subRegion, regions, lambda region: search.subRegion in (region.subRegions or ()))
    )


def image_family_matches(family: MachineImageFamily, search: MachineImageFamilySearch) -> bool:
    """Whether a family matches a search; a filter on groups or images must match at least one of them."""
    groups = family.imageGroups or []
    images = [image for group in groups for image in group.images or ()]
    return (
        _namespace(family.namespace, search.namespace, search.namespaces)
        and _part(search.familyName, family.name)
        and _same(search.osType, family.osType)
        and _within(search.familyCreatedTime, family.createdTime)
        and _some(search.groupName, groups, lambda group: _part(search.groupName, group.name))
        and _some(search.groupCreatedTime, groups, lambda g: _within(search.groupCreatedTime, g.createdTime))
        and _some(search.imageCreatedTime, images, lambda i: _within(search.imageCreatedTime, i.createdTime))
        and _some(search.providers, images, lambda image: _one_of(search.providers, image.provider))
        and _some(search.regions, images, lambda i: _any_shared(search.regions, i.regions))
        and _some(
            search.supportedInstanceTypes,
            images,
            lambda i: _any_shared(search.supportedInstanceTypes, i.supportedInstanceTypes),
        )
    )


def allowance_matches(allowance: Allowance, search: AllowanceSearch) -> bool:
    """Whether an allowance matches a search."""
    return (
        _part(search.description, allowance.description)
        and _within(search.effectiveFrom, allowance.effectiveFrom)
        and _within(search.effectiveUntil, allowance.effectiveUntil)
        and _same(search.limitEnforcement, allowance.limitEnforcement)
        and _within(search.allowedHours, allowance.allowedHours)
    )


def _some(wanted: Any, values: Iterable[_T], fits: Callable[[_T], bool]) -> bool:
    return not wanted or any(map(fits, values))


def _any_shared(wanted: Collection[str] | None, values: Collection[str] | None) -> bool:
    # An image without a list is for all regions or instance types.
    return not wanted or not values or not set(wanted).isdisjoint(values)


def _workers_match(node: NodeRecord, search: NodeSearch) -> bool:
    workers = node.workers
    if search.workerTaskGroupId is not None:
        workers = [w for w in workers if w.group is not None and w.group.id == search.workerTaskGroupId]
    if search.workerStatuses:
        workers = [w for w in workers if w.status in search.workerStatuses]
    if search.workerRegisteredTime is not None:
        workers = [w for w in workers if _within(search.workerRegisteredTime, w.entity.registeredTime)]
    filters = (search.workerTaskGroupId, search.workerStatuses, search.workerRegisteredTime)
    return bool(workers) or not any(filters)


def _namespace(namespace: str, wanted: str | None, any_of: Collection[str] | None) -> bool:
    return _same(wanted, namespace) and _one_of(any_of, namespace)


def _part(wanted: str | None, value: str | None) -> bool:
    return wanted is None or wanted in (value or "")


def _same(wanted: Any, value: Any) -> bool:
    return wanted is None or wanted == value


def _one_of(wanted: Collection[Any] | None, value: Any) -> bool:
    return not wanted or value in wanted


def _within(wanted: Any, value: datetime | float | None) -> bool:
    if wanted is None or (wanted.min is None and wanted.max is None):
        return True
    if value is None:
        return False
    return (wanted.min is None or value >= wanted.min) and (wanted.max is None or value <= wanted.max)
