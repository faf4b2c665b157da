"""The pools of task groups: their specification, their placement and what stands behind them."""

from datetime import timedelta

import pytest

from yellowdog_ray.cluster.pools import IDLE_NODE_TIMEOUT, ON_PREMISES, placement, pool_spec, supply
from yellowdog_ray.config.models import NodeConfig, parse_provider
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
