from __future__ import annotations

from typing import Any

import pytest
from yellowdog_client.model import (
    AwsInstancesComputeSource,
    AzureInstancesComputeSource,
    CloudProvider,
    ComputeSource,
    DoubleRange,
    GceInstancesComputeSource,
    InstancePricingPreference,
    NodeDetails,
    OciInstancesComputeSource,
    RunSpecification,
    SimulatorComputeSource,
)

from tests.simulation.lab import Lab
from yellowdog_local.pools import matching
from yellowdog_local.state.records import GroupRecord, NodeRecord, PoolRecord, SourceRecord

DETAILS: dict[str, Any] = {
    "instanceId": "i-1",
    "provider": CloudProvider.AWS,
    "region": "eu",
    "instanceType": "small",
    "vcpus": 2.0,
    "ram": 4.0,
    "supportedTaskTypes": ["bash", "docker"],
    "workerTag": "tag",
    "spot": False,
}
MISMATCHES: list[dict[str, Any]] = [
    {"namespaces": ["other"]},
    {"workerTags": ["other"]},
    {"instanceTypes": ["large"]},
    {"regions": ["us"]},
    {"providers": [CloudProvider.GOOGLE]},
    {"instancePricingPreference": InstancePricingPreference.SPOT_ONLY},
    {"taskTypes": ["bash", "python"]},
    {"vcpus": DoubleRange(2.5)},
    {"ram": DoubleRange(None, 3.5)},
]


@pytest.fixture
def node(lab: Lab) -> NodeRecord:
    made = lab.node(lab.booted())
    made.entity.details = NodeDetails(**DETAILS)
    return made


@pytest.fixture
def group(lab: Lab) -> GroupRecord:
    return lab.group()


def specify(group: GroupRecord, **spec: Any) -> GroupRecord:
    group.entity.runSpecification = RunSpecification(**{"taskTypes": ["bash"], **spec})
    return group


def test_node_matches_a_specification_that_names_its_own_values(node: NodeRecord, group: GroupRecord) -> None:
    matching_spec = {
        "namespaces": ["demo", "other"],
        "workerTags": ["tag"],
        "instanceTypes": ["small"],
        "regions": ["eu"],
        "providers": [CloudProvider.AWS],
        "instancePricingPreference": InstancePricingPreference.ON_DEMAND_ONLY,
        "vcpus": DoubleRange(2, 2),
        "ram": DoubleRange(None, None),
    }
    assert matching.node_matches(specify(group), node)
    assert matching.node_matches(specify(group, **matching_spec), node)


def test_node_does_not_match_when_one_value_differs(node: NodeRecord, group: GroupRecord) -> None:
    for spec in MISMATCHES:
        assert not matching.node_matches(specify(group, **spec), node), spec
    details: Any = node.entity.details
    details.ram = None
    assert not matching.node_matches(specify(group, ram=DoubleRange(1)), node)
    node.entity.details = None
    assert not matching.node_matches(specify(group), node)


def test_pool_matches_by_its_sources_until_its_first_node_registers(lab: Lab, group: GroupRecord) -> None:
    pool = lab.pool(1, "other", workerTag="tag")
    for source in pool.requirement.sources:
        source.entity.provider = CloudProvider.AWS
    assert matching.pool_matches(specify(group, workerTags=["tag"], vcpus=DoubleRange(99)), pool)
    for spec in MISMATCHES[:6]:
        assert not matching.pool_matches(specify(group, **spec), pool), spec
    lab.advance(2)
    assert not matching.pool_matches(specify(group, vcpus=DoubleRange(99)), pool)
    assert matching.pool_matches(specify(group, vcpus=DoubleRange(1)), pool)


def priced(pool: PoolRecord, *spots: bool) -> PoolRecord:
    """The pool with one source for each value, preemptible or not."""
    pool.requirement.sources[:] = []
    for number, spot in enumerate(spots):
        entity: Any = SimulatorComputeSource("s")
        entity.spot = spot
        pool.requirement.sources.append(SourceRecord(str(number), entity))
    return pool


@pytest.mark.parametrize(
    ("preference", "ranks"),
    [
        (None, (0, 0, 0)),
        (InstancePricingPreference.SPOT_ONLY, (0, 0, 0)),
        (InstancePricingPreference.SPOT_THEN_ON_DEMAND, (0, 2, 1)),
        (InstancePricingPreference.ON_DEMAND_THEN_SPOT, (2, 0, 1)),
    ],
)
def test_pools_of_the_preferred_pricing_rank_first_then_mixed_ones(
    lab: Lab, group: GroupRecord, preference: Any, ranks: tuple[int, ...]
) -> None:
    pool, wanted = lab.pool(), specify(group, instancePricingPreference=preference)
    kinds = ((True,), (False,), (True, False))
    assert tuple(matching.pool_rank(wanted, priced(pool, *spots)) for spots in kinds) == ranks
    assert matching.pool_rank(wanted, priced(pool)) == 0


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (AwsInstancesComputeSource, "spot"),
        (AzureInstancesComputeSource, "useSpot"),
        (GceInstancesComputeSource, "preemptible"),
        (OciInstancesComputeSource, "preemptible"),
    ],
)
def test_pool_ranks_as_spot_by_the_field_of_its_cloud(
    lab: Lab, group: GroupRecord, kind: type[ComputeSource], field: str
) -> None:
    pool = lab.pool()
    wanted = specify(group, instancePricingPreference=InstancePricingPreference.SPOT_THEN_ON_DEMAND)
    source = object.__new__(kind)
    pool.requirement.sources[:] = [SourceRecord("1", source)]
    assert matching.pool_rank(wanted, pool) == 2
    setattr(source, field, True)
    assert matching.pool_rank(wanted, pool) == 0


def test_workers_of_the_preferred_pricing_rank_first_and_of_configured_pools_last(
    node: NodeRecord, group: GroupRecord
) -> None:
    details: Any = node.entity.details
    wanted = specify(group, instancePricingPreference=InstancePricingPreference.SPOT_THEN_ON_DEMAND)
    assert matching.worker_rank(wanted, node) == 1
    details.spot = True
    assert matching.worker_rank(wanted, node) == 0
    node.pool.configured = True
    assert matching.worker_rank(wanted, node) == 2
    assert matching.worker_rank(specify(group), node) == 0
