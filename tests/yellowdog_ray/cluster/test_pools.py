"""The pools of task groups: their specification, their placement and what stands behind them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from yellowdog_ray.cluster.pools import (
    IDLE_NODE_TIMEOUT,
    ON_PREMISES,
    needed_nodes,
    placement,
    pool_spec,
    provision,
    supply,
)
from yellowdog_ray.config.models import Internal, NodeTypeSummary, parse_provider
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.errors import AlreadyExists, PlatformError, Refused, Throttled, Unavailable
from yellowdog_ray.platform.provisioning import PoolSpec
from yellowdog_ray.platform.types import ComputeView, Placement, PoolView, TaskGroupView

GROUP = TaskGroupView("g", "g", "tag", None, None, Placement(("tag",), ()))
CONFIGURED_GROUP = TaskGroupView("g", "g", "tag", None, None, Placement(("theirs",), ()))


class ScriptedPlatform:
    """Knows one pool."""

    def __init__(self, pool: PoolView | None) -> None:
        self._pool = pool

    def find_pool(self, name: str) -> PoolView | None:
        assert name == "tag"
        return self._pool

    def compute(self, requirement_id: str) -> ComputeView:
        return ComputeView("RUNNING", False, 3)


def test_pool_spec_sets_every_timeout():
    settings = parse_provider({"cluster_namespace": "demo", "cluster_tag": "team"}, "cluster.yaml")
    config = NodeConfig(compute_requirement_template="demo/local")
    boot, idle = timedelta(minutes=10), timedelta(hours=1)

    spec = pool_spec("ray", settings, config, "ray-cpu", 2, 100, boot_timeout=boot, idle_pool_timeout=idle)

    assert (spec.name, spec.tag, spec.nodes, spec.max_nodes) == ("ray-cpu", "team", 2, 100)
    assert (spec.boot_timeout, spec.idle_node_timeout, spec.idle_pool_timeout) == (boot, IDLE_NODE_TIMEOUT, idle)


def test_pool_spec_merges_tags_with_those_of_the_node_type_first():
    settings = parse_provider(
        {
            "cluster_namespace": "demo",
            "instance_tags": {"team": "a", "cost": "1"},
            "_raydog": {"user": "Ann Lee"},
        },
        "cluster.yaml",
    )
    config = NodeConfig(compute_requirement_template="demo/local", instance_tags={"team": "b", "ray-user": "ci"})
    times = {"boot_timeout": timedelta(minutes=1), "idle_pool_timeout": timedelta(hours=1)}

    own = pool_spec("ray", settings, config, "ray-cpu", 2, 100, **times).machine.instance_tags
    general = pool_spec("ray", settings, NodeConfig(compute_requirement_template="demo/local"), "p", 1, 1, **times)

    assert own == {"cost": "1", "ray-cluster-name": "ray", "ray-user": "ci", "team": "b"}
    assert general.machine.instance_tags == {
        "cost": "1", "ray-cluster-name": "ray", "ray-user": "ann-lee", "team": "a",
    }  # fmt: skip
    assert pool_spec("ray", settings, NodeConfig(worker_pool="a/b"), "p", 1, 1, **times).machine.instance_tags is None


def internal(limit=None, **limits):
    """Of each node type its `max_workers`, and that of the cluster."""
    types = {name: NodeTypeSummary(max_workers=workers) for name, workers in limits.items()}
    return Internal(max_workers=limit, node_types=types)


@pytest.mark.parametrize(
    ("settings", "nodes"),
    [
        (internal(cpu=100), 200),
        (internal(50, cpu=100), 100),
        (internal(50, gpu=1), 100),
        (internal(cpu=1), 10),
        (internal(cpu=0), 10),
        (internal(cpu=9_000), 10_000),
        (internal(), 10_000),
    ],
)
def test_pool_needs_its_node_types_workers_and_their_replacements(settings, nodes):
    assert needed_nodes(settings, "cpu") == nodes


class RefusingPlatform:
    """Refuses pools of more nodes than its limit, with a text of its own."""

    def __init__(self, limit: int, text: str, refusal: type[PlatformError] = Refused) -> None:
        self._limit = limit
        self._text = text
        self._refusal = refusal
        self.requested: list[tuple[int, int]] = []

    def provision_pool(self, spec: PoolSpec) -> PoolView:
        self.requested.append((spec.nodes, spec.max_nodes))
        if spec.max_nodes > self._limit:
            raise self._refusal("refused") from ValueError(f"Response Body: {self._text}")
        return PoolView("p", spec.name, "PENDING", False, "compute")

    def find_pool(self, name: str) -> PoolView | None:
        return None


MACHINE = NodeConfig(compute_requirement_template="demo/local")
SPEC = PoolSpec("demo-cpu", "team", MACHINE, 80, 100, timedelta(1), timedelta(1), timedelta(1))


def test_provision_requests_as_many_nodes_as_the_platform_allows():
    platform = RefusingPlatform(50, "maxNodes must be at most 50")

    assert provision(platform, SPEC).name == "demo-cpu"
    assert platform.requested == [(80, 100), (50, 50)]


@pytest.mark.parametrize("refusal", [AlreadyExists, Throttled, Unavailable])
def test_provision_halves_a_stated_limit_that_is_refused_again(refusal):
    platform = RefusingPlatform(49, "maxNodes must stay within the limit, 50", refusal)

    provision(platform, SPEC)

    assert platform.requested == [(80, 100), (50, 50), (25, 25)]


def test_provision_keeps_a_small_number_of_nodes_within_the_limit():
    platform = RefusingPlatform(50, "maxNodes must be at most 50")

    provision(platform, replace(SPEC, nodes=2))

    assert platform.requested == [(2, 100), (2, 50)]


def test_provision_is_refused_when_the_platform_states_no_limit():
    platform = RefusingPlatform(50, "no such template")

    with pytest.raises(Refused, match="refused"):
        provision(platform, SPEC)
    assert platform.requested == [(80, 100)]


@pytest.mark.parametrize(
    ("worker_tag", "expected"),
    [("own", Placement(("own",), ("ns",))), (None, Placement((), ("ns",), (ON_PREMISES,)))],
    ids=["tagged", "untagged"],
)
def test_placement_selects_configured_pool(worker_tag, expected):
    pool = PoolView("p", "own", "RUNNING", False, None, configured=True, namespace="ns", worker_tag=worker_tag)

    assert placement(pool) == expected


def test_supply_is_pool_and_its_instances():
    pool = PoolView("p", "tag", "RUNNING", False, "compute")

    assert supply(ScriptedPlatform(pool), GROUP) == (pool, ComputeView("RUNNING", False, 3))


@pytest.mark.parametrize(
    ("pool", "group"),
    [
        (None, GROUP),
        (PoolView("p", "tag", "RUNNING", False, None), GROUP),
        (PoolView("p", "tag", "RUNNING", False, "compute"), CONFIGURED_GROUP),
    ],
    ids=["no pool", "nothing provisioned", "configured pool"],
)
def test_supply_is_none_without_provisioned_pool(pool, group):
    assert supply(ScriptedPlatform(pool), group) is None
