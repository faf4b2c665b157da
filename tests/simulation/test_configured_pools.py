"""A node type on the user's own machines beside a provisioned one, under Ray's autoscalers."""

import pytest

from tests.own_machines import configured_pool, machines_of
from tests.simulation.config import node_type
from tests.simulation.raylets import Demand

OWN = {"worker_pool": "demo/own"}
TYPES = {
    "head": node_type(resources={"CPU": 0}, max_workers=0),
    "own": node_type(resources={"CPU": 1, "own": 1}, max_workers=10, node_config=OWN),
    "cloud": node_type(resources={"CPU": 1, "cloud": 1}, max_workers=10),
}


@pytest.fixture
def pool(lab):
    return configured_pool(lab, machines=3)


@pytest.fixture
def world(pool, make_world):
    return make_world(available_node_types=TYPES, worker_node_build_timeout_minutes=2.0)


def test_cluster_grows_and_shrinks_on_own_machines_without_terminating_them(world, pool):
    world.want(Demand({"own": 1}, 3), Demand({"cloud": 1}, 2))
    world.ticks(4)
    assert (len(world.listed("own")), len(world.listed("cloud"))) == (3, 2)
    assert len(world.ray.workers) == 5
    assert len(world.instances) == 2

    world.want()
    world.ticks(25)

    assert world.listed() == set()
    assert world.instances == []
    assert machines_of(pool) == ["own-0", "own-1", "own-2"]


def test_workers_are_withdrawn_and_type_backs_off_when_all_machines_are_taken(world, pool, caplog):
    world.want(Demand({"own": 1}, 5))
    world.ticks(30)

    assert len(world.ray.workers) == 3
    assert "NeverAllocated" in caplog.text
    assert world.instances == []
    world.want(Demand({"own": 1}, 3))
    world.ticks(30)
    assert len(world.listed()) == 3


def test_lost_machine_is_replaced_by_a_free_one(world, pool):
    world.want(Demand({"own": 1}, 2))
    world.ticks(4)
    node_id = min(world.listed())

    world.lose(node_id)
    world.ticks(20)

    assert node_id not in world.listed()
    assert len(world.ray.workers) == len(world.listed()) == 2
    assert len(machines_of(pool)) == 2


def test_restarted_autoscaler_terminates_no_own_machine(world, pool):
    world.want(Demand({"own": 1}, 2))
    world.ticks(4)
    world.fault("abort-lost")
    world.want()
    world.ticks(14)

    world.restart_autoscaler()
    world.ticks(40)

    assert machines_of(pool) == ["own-0", "own-1", "own-2"]
