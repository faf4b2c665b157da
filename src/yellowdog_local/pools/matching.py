"""Matching of task groups with pools and platform nodes: which YellowDog workers may run which tasks. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from yellowdog_client.model import CloudProvider, InstancePricingPreference, NodeDetails, RunSpecification

from yellowdog_local.compute import clouds
from yellowdog_local.state.records import GroupRecord, NodeRecord, PoolRecord

# For preferences that rank and do not restrict: whether spot comes first.
_FIRST_SPOT: dict[InstancePricingPreference | None, bool] = {
    InstancePricingPreference.ON_DEMAND_THEN_SPOT: False,
    InstancePricingPreference.SPOT_THEN_ON_DEMAND: True,
}


def pool_matches(group: GroupRecord, pool: PoolRecord) -> bool:
    """Whether new platform nodes of a pool would match a task group, judged by the pool's first platform node."""
    spec = group.spec
    sources = [source.entity for source in pool.requirement.sources]
    return (
        _allows(spec.namespaces, pool.namespace)
        and _allows(spec.workerTags, pool.properties.workerTag)
        and _allows_all(spec.instanceTypes, map(clouds.instance_type, sources))
        and _allows_all(spec.regions, (source.region for source in sources))
        and _allows_all(spec.providers, (source.provider for source in sources))
        and all(_pricing_allows(spec, spot=clouds.is_spot(source)) for source in sources)
        and (pool.first_node is None or _details_match(spec, pool.first_node.entity.details))
    )


def node_matches(group: GroupRecord, node: NodeRecord) -> bool:
    """Whether a platform node's YellowDog workers may run a task group's tasks."""
    spec, details = group.spec, node.entity.details
    return (
        details is not None
        and _allows(spec.namespaces, node.pool.namespace)
        and _allows(spec.workerTags, details.workerTag)
        and _allows(spec.instanceTypes, details.instanceType)
        and _allows(spec.regions, details.region)
        and _allows(spec.providers, details.provider)
        and _pricing_allows(spec, spot=bool(details.spot))
        and _details_match(spec, details)
    )


def pool_rank(group: GroupRecord, pool: PoolRecord) -> int:
    """The rank of a pool for scaling up, by the task group's preferred pricing; the lowest is first."""
    first = _FIRST_SPOT.get(group.spec.instancePricingPreference)
    kinds = {clouds.is_spot(source.entity) for source in pool.requirement.sources}
    if first is None or not kinds:
        return 0
    if len(kinds) > 1:
        return 1
    return 0 if first in kinds else 2


def worker_rank(group: GroupRecord, node: NodeRecord) -> int:
    """The rank of a platform node's slots for a claim, by the task group's preferred pricing; the lowest is first."""
    first = _FIRST_SPOT.get(group.spec.instancePricingPreference)
    if first is None:
        return 0
    if node.pool.configured:
        return 2
    spot = bool(node.entity.details.spot) if node.entity.details else False
    return 0 if spot is first else 1


def _details_match(spec: RunSpecification, details: NodeDetails | None) -> bool:
    return (
        details is not None
        and set(spec.taskTypes) <= set(details.supportedTaskTypes or ())
        and _within(spec.vcpus, details.vcpus)
        and _within(spec.ram, details.ram)
    )


def _pricing_allows(spec: RunSpecification, *, spot: bool) -> bool:
    if spec.instancePricingPreference is InstancePricingPreference.SPOT_ONLY:
        return spot
    if spec.instancePricingPreference is InstancePricingPreference.ON_DEMAND_ONLY:
        return not spot
    return True


def _allows(allowed: Collection[str] | Collection[CloudProvider] | None, value: object) -> bool:
    return not allowed or value in allowed


def _allows_all(allowed: Collection[str] | Collection[CloudProvider] | None, values: Iterable[object]) -> bool:
    return not allowed or all(value in allowed for value in values)


def _within(wanted: Any, value: float | None) -> bool:
    if wanted is None:
        return True
    if value is None:
        return False
    return (wanted.min is None or value >= wanted.min) and (wanted.max is None or value <= wanted.max)
