"""Placement groups under autoscaler v1, to which Ray reports them up to a second late."""

import pytest
from ray.core.generated.common_pb2 import Bundle, PlacementStrategy
from ray.core.generated.gcs_pb2 import PlacementGroupTableData

from yellowdog_ray.monitor.scale_gate import MAX_SKIPPED_TICKS

GROUP = PlacementGroupTableData(
    placement_group_id=b"a group",
    strategy=PlacementStrategy.STRICT_SPREAD,
    bundles=[Bundle(unit_resources={"CPU": 1})] * 2,
)

pytestmark = pytest.mark.parametrize("kind", ["v1"], indirect=True)


def test_waiting_group_launches_its_nodes_at_once(world):
    world.grow_to(2)
    world.ray.groups = world.ray.reported_groups = [GROUP]

    world.tick()

    assert len(world.listed()) == 4


def test_placed_group_launches_nothing_while_ray_reports_it_late(world):
    world.grow_to(2)
    world.ray.reported_groups = [GROUP]
    world.tick()
    world.ray.reported_groups = []
    world.tick()
    assert len(world.listed()) == 2

    world.want_cpus(3)
    world.tick()
    assert len(world.listed()) == 3


def test_stale_groups_delay_other_demand_for_few_ticks(world):
    world.grow_to(2)
    world.ray.reported_groups = [GROUP]
    world.want_cpus(3)

    world.ticks(MAX_SKIPPED_TICKS)
    assert len(world.listed()) == 2
    world.tick()
    assert len(world.listed()) > 2


def test_ray_decides_while_its_control_store_does_not_answer(world, monkeypatch):
    world.grow_to(2)
    world.ray.groups = world.ray.reported_groups = [GROUP]
    monkeypatch.setattr(world.provider.side.ray_nodes, "_request", lambda call: None)

    world.tick()

    assert len(world.listed()) == 4
