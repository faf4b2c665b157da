"""Compute requirements and instances as the API returns them, and searches for them. Changes no status."""

from __future__ import annotations

from yellowdog_client.model import (
    ComputeRequirement,
    ComputeRequirementSearch,
    ComputeRequirementSummary,
    ComputeRequirementSummarySearch,
    InstanceSearch,
    InstanceSummary,
)

from yellowdog_local.state import search
from yellowdog_local.state.records import InstanceRecord, RequirementRecord, SourceRecord
from yellowdog_local.state.store import Store


def requirement_view(requirement: RequirementRecord) -> ComputeRequirement:
    """A compute requirement as the API returns it."""
    for source in requirement.sources:
        source.entity.instanceSummary = _instance_summary(source)
    requirement.entity.expectedInstanceCount = requirement.alive
    return requirement.entity


def requirement_summary(requirement: RequirementRecord) -> ComputeRequirementSummary:
    """A compute requirement as lists show it."""
    entity = requirement.entity
    return ComputeRequirementSummary(
        id=requirement.id,
        namespace=requirement.namespace,
        name=requirement.name,
        tag=entity.tag,
        targetInstanceCount=entity.targetInstanceCount,
        expectedInstanceCount=requirement.alive,
        aliveInstanceCount=requirement.alive,
        createdTime=requirement.created,
        statusChangedTime=entity.statusChangedTime,
        status=requirement.status,
        healthy=search.requirement_healthy(requirement),
    )


def search_requirements(
    store: Store, wanted: ComputeRequirementSearch | ComputeRequirementSummarySearch
) -> list[RequirementRecord]:
    """The compute requirements that match a search."""
    return [record for record in store.requirements.values() if search.requirement_matches(record, wanted)]


def search_instances(store: Store, wanted: InstanceSearch) -> list[InstanceRecord]:
    """The instances that match a search."""
    instances = store.instances
    if wanted.computeRequirementId is not None:
        requirement = store.requirements.get(wanted.computeRequirementId)
        instances = requirement.instances if requirement is not None else {}
    return [instance for instance in instances.values() if search.instance_matches(instance, wanted)]


def _instance_summary(source: SourceRecord) -> InstanceSummary:
    summary = InstanceSummary(
        statusCounts={status: count for status, count in source.counts.items() if count},
        requestedCount=source.requested,
        expectedCount=source.alive,
        expiredCount=source.expired,
        totalCount=sum(source.counts.values()) + source.expired,
        lastUpdatedTime=source.changed.show(),
    )
    summary.aliveCount = source.alive
    return summary
