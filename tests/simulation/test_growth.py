"""Launches: Ray's own decision, carried out on the platform."""

import pytest

from tests.simulation.config import node_type
from tests.simulation.raylets import Demand

GROWTH_CALLS = 8
"""One listing, then the calls of the first launch of a type: task group, pool and tasks, each looked up before."""

FIRST_LISTING_CALLS = 5
"""Of a process; one looks for the records of the head's state that an earlier process has published."""

BOOT_TICKS = 3

TWO_TYPES = {
    "head": node_type(resources={"CPU": 0}, max_workers=0),
    "cpu": node_type(resources={"CPU": 4}, labels={"zone": "a"}, max_workers=10),
    "gpu": node_type(resources={"CPU": 4, "GPU": 1}, labels={"zone": "b"}, max_workers=10),
}


@pytest.mark.parametrize("count", [1, 5, 200])
def test_demand_for_n_nodes_launches_n_nodes_in_one_tick(world, count):
    world.tick()
    world.want_cpus(count)

    world.tick()

    assert len(world.listed()) == count
    assert len(world.wire.calls) <= GROWTH_CALLS, world.wire.calls
    world.ticks(BOOT_TICKS)
    assert len(world.ray.workers) == len(world.instances) == count


def test_further_demand_reuses_the_pool_and_submits_one_batch(world):
    world.grow_to(2)

    world.want_cpus(12)
    world.tick()

    assert len(world.listed()) == 12
    assert len(world.wire.changes) == 1
    world.ticks(BOOT_TICKS)
    assert len(world.ray.workers) == len(world.instances) == 12


def test_nodes_are_submitted_in_batches_above_a_thousand(make_world):
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
def test_demand_launches_no_more_nodes_than_the_limit(make_world, limits):
    of_cluster, of_type = limits
    types = {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        "worker": node_type(max_workers=of_type),
    }
    world = make_world(max_workers=of_cluster, available_node_types=types)
    world.want_cpus(50)

    world.ticks(6)

    assert len(world.listed()) == len(world.instances) == 3


def test_min_workers_are_launched_without_demand_and_kept(make_world):
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


def test_idle_workers_are_terminated_down_to_min_workers(make_world):
    types = {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        "worker": node_type(min_workers=2, max_workers=10),
    }
    world = make_world(available_node_types=types)
    world.grow_to(5)

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
def test_demand_launches_the_node_type_that_fits(make_world, demand, expected):
    world = make_world(available_node_types=TWO_TYPES)
    world.want(demand)

    world.ticks(BOOT_TICKS + 1)

    assert {name: len(world.listed(name)) for name in expected} == expected
    assert world.ray.pending == []


def test_both_node_types_launch_in_one_tick_when_both_have_demand(make_world):
    world = make_world(available_node_types=TWO_TYPES)
    world.want(Demand({"GPU": 1}, 2), Demand({"CPU": 4}, 5))

    world.tick()

    # Ray counts the CPUs of the machines with a GPU as well.
    assert (len(world.listed("gpu")), len(world.listed("cpu"))) == (2, 3)
    world.ticks(BOOT_TICKS)
    assert world.ray.pending == []


@pytest.mark.parametrize("kind", ["v2"], indirect=True, ids=["v2"])  # v1 has no label selectors
def test_label_selector_decides_the_node_type(make_world):
    world = make_world(available_node_types=TWO_TYPES)
    world.want(Demand({"CPU": 4}, 3, {"zone": "b"}))

    world.ticks(BOOT_TICKS + 1)

    assert (len(world.listed("cpu")), len(world.listed("gpu"))) == (0, 3)
    assert world.ray.pending == []


def test_infeasible_demand_launches_nothing(world):
    world.want(Demand({"GPU": 8}, 2))

    world.ticks(4)

    assert world.listed() == set()
    assert world.instances == []


def test_node_is_uninitialized_until_its_raylet_joins(world, kind):
    world.want_cpus(1)
    world.tick()
    (node_id,) = world.listed()
    before = world.provider.node_tags(node_id)["ray-node-status"]

    world.ticks(BOOT_TICKS)

    # v1 considers a node dead that is up-to-date and unknown to Ray; v2 does not read the status.
    after = world.provider.node_tags(node_id)["ray-node-status"]
    assert (before, after) == ("uninitialized", "up-to-date" if kind == "v1" else "uninitialized")


def test_pool_is_replaced_after_somebody_shuts_it_down(world):
    world.grow_to(2)
    (pool,) = (pool for pool in world.lab.platform.store.open_pools.values() if pool.name.startswith("ray-worker-"))
    with world.lab.platform.locked():
        world.lab.platform.pools.shut_down(pool)
    world.ticks(4)

    world.want_cpus(3)
    world.ticks(BOOT_TICKS + 3)

    assert len(world.ray.workers) == 3
    assert world.ray.pending == []
