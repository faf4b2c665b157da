"""Placement groups under autoscaler v1, which Ray tells of them with up to a second's delay."""

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


def test_a_group_that_waits_gets_its_nodes_at_once(world):
    world.grown_to(2)
    world.ray.groups = world.ray.groups_told = [GROUP]

    world.tick()

    assert len(world.listed()) == 4


def test_a_group_that_has_its_nodes_gets_no_others_while_ray_still_says_that_it_waits(world):
    world.grown_to(2)
    world.ray.groups_told = [GROUP]
    world.tick()
    world.ray.groups_told = []
    world.tick()
    assert len(world.listed()) == 2

    world.want_cpus(3)
    world.tick()
    assert len(world.listed()) == 3


def test_old_news_of_groups_keep_a_demand_waiting_for_a_few_ticks_only(world):
    world.grown_to(2)
    world.ray.groups_told = [GROUP]
    world.want_cpus(3)

    world.ticks(MAX_SKIPPED_TICKS)
    assert len(world.listed()) == 2
    world.tick()
    assert len(world.listed()) > 2


def test_the_provider_lets_ray_decide_while_its_control_store_is_silent(world, monkeypatch):
    world.grown_to(2)
    world.ray.groups = world.ray.groups_told = [GROUP]
    monkeypatch.setattr(world.provider.side.ray_nodes, "_request", lambda call: None)

    world.tick()

    assert len(world.listed()) == 4
