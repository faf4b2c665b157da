"""The pools of task groups: their specification, their placement and what stands behind them."""

from datetime import timedelta

import pytest

from yellowdog_ray.cluster.pools import IDLE_NODE_TIMEOUT, ON_PREMISES, needed_nodes, placement, pool_spec, supply
from yellowdog_ray.config.models import Internal, NodeConfig, NodeTypeSummary, parse_provider
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

    spec = pool_spec(settings, config, "ray-cpu", 2, 100, boot_timeout=boot, idle_pool_timeout=idle)

    assert (spec.name, spec.tag, spec.nodes, spec.max_nodes) == ("ray-cpu", "team", 2, 100)
    assert (spec.boot_timeout, spec.idle_node_timeout, spec.idle_pool_timeout) == (boot, IDLE_NODE_TIMEOUT, idle)


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
