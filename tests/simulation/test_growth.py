"""How a cluster grows: Ray's own decision, carried out on the platform."""

import pytest

from tests.simulation.config import node_type
from tests.simulation.raylets import Demand

GROWTH_CALLS = 8
"""A look at the cluster, and what the first nodes of a type take: task group, pool and tasks, each looked up before."""

FIRST_LISTING_CALLS = 4

BOOT_TICKS = 3

TWO_TYPES = {
    "head": node_type(resources={"CPU": 0}, max_workers=0),
    "cpu": node_type(resources={"CPU": 4}, labels={"zone": "a"}, max_workers=10),
    "gpu": node_type(resources={"CPU": 4, "GPU": 1}, labels={"zone": "b"}, max_workers=10),
}


@pytest.mark.parametrize("count", [1, 5, 200])
def test_demand_for_n_nodes_is_n_nodes_in_one_tick(world, count):
    world.tick()
    world.want_cpus(count)

    world.tick()

    assert len(world.listed()) == count
    assert len(world.wire.calls) <= GROWTH_CALLS, world.wire.calls
    world.ticks(BOOT_TICKS)
    assert len(world.ray.workers) == len(world.instances) == count


def test_further_demand_is_met_with_what_is_there_and_one_batch_more(world):
    world.grown_to(2)

    world.want_cpus(12)
    world.tick()

    assert len(world.listed()) == 12
    assert len(world.wire.changes) == 1
    world.ticks(BOOT_TICKS)
    assert len(world.ray.workers) == len(world.instances) == 12


def test_more_than_a_thousand_nodes_at_once_are_added_in_batches(make_world):
    types = {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        "worker": node_type(min_workers=1_050, max_workers=1_050),
    }
    world = make_world(max_workers=1_050, available_node_types=types)

    world.tick()

    assert len(world.listed()) == 1_050
    assert len(world.wire.calls) <= FIRST_LISTING_CALLS + GROWTH_CALLS + 1
    assert len([call for call in world.wire.changes if call.endswith("/tasks")]) == 2


@pytest.mark.parametrize("limits", [(3, 300), (300, 3)], ids=["of the cluster", "of the type"])
def test_no_more_nodes_than_the_limit(make_world, limits):
    of_cluster, of_type = limits
    types = {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        "worker": node_type(max_workers=of_type),
    }
    world = make_world(max_workers=of_cluster, available_node_types=types)
    world.want_cpus(50)

    world.ticks(6)

    assert len(world.listed()) == len(world.instances) == 3


def test_min_workers_are_there_without_demand_and_stay(make_world):
    types = {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        "worker": node_type(min_workers=2, max_workers=10),
    }
    world = make_world(available_node_types=types)
    world.ticks(BOOT_TICKS)
    first = world.listed()
    assert len(first) == 2

    world.ticks(20)

    assert world.listed() == first
    assert len(world.ray.workers) == len(world.instances) == 2


def test_what_is_idle_goes_down_to_min_workers(make_world):
    types = {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        "worker": node_type(min_workers=2, max_workers=10),
    }
    world = make_world(available_node_types=types)
    world.grown_to(5)

    world.want_cpus(0)
    world.ticks(25)

    assert len(world.listed()) == len(world.instances) == 2


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        (Demand({"GPU": 1}, 3), {"cpu": 0, "gpu": 3}),
        (Demand({"CPU": 4}, 3), {"cpu": 3, "gpu": 0}),
        (Demand({"CPU": 1}, 8), {"cpu": 2, "gpu": 0}),
    ],
    ids=["a GPU", "a whole machine", "parts of a machine"],
)
def test_of_two_types_the_one_that_fits_grows(make_world, demand, expected):
    world = make_world(available_node_types=TWO_TYPES)
    world.want(demand)

    world.ticks(BOOT_TICKS + 1)

    assert {name: len(world.listed(name)) for name in expected} == expected
    assert world.ray.pending == []


def test_both_types_grow_in_one_tick_when_both_are_wanted(make_world):
    world = make_world(available_node_types=TWO_TYPES)
    world.want(Demand({"GPU": 1}, 2), Demand({"CPU": 4}, 5))

    world.tick()

    # The machines with a GPU have CPUs as well, which Ray counts.
    assert (len(world.listed("gpu")), len(world.listed("cpu"))) == (2, 3)
    world.ticks(BOOT_TICKS)
    assert world.ray.pending == []


@pytest.mark.parametrize("kind", ["v2"], indirect=True, ids=["v2"])  # Ray's v1 knows no label selectors
def test_a_label_that_is_asked_for_decides_the_type(make_world):
    world = make_world(available_node_types=TWO_TYPES)
    world.want(Demand({"CPU": 4}, 3, {"zone": "b"}))

    world.ticks(BOOT_TICKS + 1)

    assert (len(world.listed("cpu")), len(world.listed("gpu"))) == (0, 3)
    assert world.ray.pending == []


def test_what_no_type_can_do_launches_nothing(world):
    world.want(Demand({"GPU": 8}, 2))

    world.ticks(4)

    assert world.listed() == set()
    assert world.instances == []


def test_a_node_is_uninitialized_until_its_raylet_has_joined(world, kind):
    world.want_cpus(1)
    world.tick()
    (node_id,) = world.listed()
    before = world.provider.node_tags(node_id)["ray-node-status"]

    world.ticks(BOOT_TICKS)

    # v1 takes a node for dead that is up-to-date and unknown to Ray; v2 does not look at the status.
    after = world.provider.node_tags(node_id)["ray-node-status"]
    assert (before, after) == ("uninitialized", "up-to-date" if kind == "v1" else "uninitialized")


def test_a_pool_that_somebody_has_shut_down_is_followed_by_another(world):
    world.grown_to(2)
    (pool,) = (pool for pool in world.lab.platform.store.open_pools.values() if pool.name.startswith("ray-worker-"))
    with world.lab.platform.locked():
        world.lab.platform.pools.shut_down(pool)
    world.ticks(4)

    world.want_cpus(3)
    world.ticks(BOOT_TICKS + 3)

    assert len(world.ray.workers) == 3
    assert world.ray.pending == []
