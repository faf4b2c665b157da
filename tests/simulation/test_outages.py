"""An unreachable or partly reachable platform: nothing is terminated or created twice, and Ray catches up."""

import logging

import pytest
from ray.autoscaler.node_launch_exception import NodeLaunchException

from tests.simulation.raylets import Demand
from tests.simulation.test_growth import GROWTH_CALLS, TWO_TYPES

WORKER_TAGS = {"ray-node-type": "worker", "ray-user-node-type": "worker", "ray-node-status": "uninitialized"}


def is_listing(call: str) -> bool:
    return call == "GET /work/tasks"


def adds_tasks(call: str) -> bool:
    return call.startswith("POST") and call.endswith("/tasks")


def test_last_listing_stands_while_the_platform_is_unreachable(world):
    world.grow_to(3)
    before = world.listed()

    with world.wire.losing():
        world.ticks(5)
        assert world.listed() == before

    world.ticks(3)
    assert world.listed() == before
    assert {raylet.node_id for raylet in world.ray.workers} == before
    assert len(world.instances) == 3


def test_revoked_key_costs_no_node_and_is_logged(world, caplog):
    world.grow_to(3)
    before = world.listed()

    fault = world.fault("key-revoked")
    world.ticks(5)
    assert world.listed() == before
    world.lab.faults.remove(fault)
    world.ticks(3)

    assert "YellowDog does not accept this API key" in caplog.text
    assert world.listed() == before
    assert len(world.ray.workers) == len(world.instances) == 3


def test_demand_during_an_outage_is_launched_once_afterwards(world):
    world.grow_to(3)

    world.want_cpus(5)
    with world.wire.losing():
        world.ticks(5)
        assert len(world.listed()) == 3
    world.ticks(6)

    assert len(world.ray.workers) == len(world.instances) == len(world.listed()) == 5


def test_launches_resume_at_once_after_a_long_outage(world):
    world.grow_to(1)
    world.want_cpus(3)

    with world.wire.losing():
        world.ticks(8 * 12)
    world.ticks(4)

    assert len(world.listed()) == 3


def test_idle_nodes_of_an_outage_are_terminated_afterwards(world):
    world.grow_to(3)

    world.want_cpus(0)
    with world.wire.losing():
        world.ticks(20)
    assert len(world.instances) == 3
    world.ticks(25)

    assert world.listed() == set()
    assert world.instances == []


def test_node_lost_during_an_outage_is_replaced_afterwards(world):
    world.grow_to(3)
    lost = min(world.listed())

    with world.wire.losing():
        world.ticks(2)
        world.lose(lost)
        world.ticks(2)
    world.ticks(12)

    assert lost not in world.listed()
    assert len(world.ray.workers) == len(world.instances) == 3


def test_autoscaler_started_during_an_outage_skips_ticks(world):
    world.grow_to(3)
    before = world.listed()

    world.restart_autoscaler()
    with world.wire.losing():
        outcomes = [world.tick() for _ in range(3)]
    world.ticks(5)

    assert outcomes == [False, False, False]
    assert world.listed() == before
    assert len(world.ray.workers) == len(world.instances) == 3


def test_listing_is_discarded_when_it_breaks_off_between_pages(world, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.platform.calls.PAGE_SIZE", 2)
    world.grow_to(5)
    before = world.listed()
    pages = iter(range(1_000))

    with world.wire.losing(lambda call: is_listing(call) and next(pages) % 2 == 1):
        for _ in range(8):
            assert world.tick()
            assert world.listed() == before
            assert world.wire.changes == []

    assert next(pages) > 2
    world.ticks(3)
    assert world.listed() == before


def test_unreadable_platform_nodes_cost_no_node(world):
    world.want_cpus(4)
    world.tick()
    before = world.listed()

    with world.wire.losing(lambda call: call.startswith("GET") and call.endswith("/nodes")):
        world.ticks(4)
        assert world.listed() == before
    world.ticks(8)

    assert world.listed() == before
    assert len(world.ray.workers) == len(world.instances) == 4


@pytest.mark.parametrize("listing", ["GET /workerPools/nodes", "GET /work/tasks"])
def test_listing_lag_costs_no_node(world, listing):
    world.fault("listing-lag", call=listing, seconds=12)
    world.want_cpus(4)
    world.tick()
    before = world.listed()

    world.ticks(4)  # sooner than all tasks are read again in any case
    assert all(world.provider.external_ip(node_id) for node_id in before)
    world.ticks(4)

    assert world.listed() == before
    assert len(world.ray.workers) == len(world.instances) == 4


def test_failed_launch_raises_its_reason(world):
    config = world.config["available_node_types"]["worker"]["node_config"]
    world.tick()

    with world.wire.losing(adds_tasks), pytest.raises(NodeLaunchException) as failure:
        world.provider.create_node_with_resources_and_labels(config, WORKER_TAGS, 1, {"CPU": 1}, {})

    assert failure.value.category == "Unavailable"
    assert "check the network" in failure.value.description


def test_failed_launch_does_not_stop_the_loop(world):
    world.tick()
    world.want_cpus(4)

    with world.wire.losing(adds_tasks):
        for _ in range(4):
            assert world.tick()
            assert len(world.wire.calls) <= GROWTH_CALLS + 1  # one to see whether the lost call was served
        assert world.autoscaler.failed_types() == {"worker"}
        assert world.listed() == set()
    world.ticks(6)

    assert len(world.ray.workers) == len(world.instances) == len(world.listed()) == 4


def test_failed_launch_does_not_block_another_node_type(make_world):
    world = make_world(available_node_types=TWO_TYPES)
    world.want(Demand({"GPU": 1}, 2))
    world.ticks(4)
    world.want(Demand({"GPU": 1}, 4), Demand({"CPU": 4}, 6))

    # The first cpu nodes need a pool, which cannot be made; the gpu pool is there.
    with world.wire.losing(lambda call: call.endswith("/template")):
        world.ticks(5)
        assert world.listed("cpu") == set()
    assert len(world.listed("gpu")) >= 4


def test_bug_in_conversion_keeps_last_listing_and_is_logged_with_its_line(world, monkeypatch, caplog):
    world.grow_to(3)
    before = world.listed()

    def broken(task):
        return task.name + 1

    with monkeypatch.context() as patch:
        patch.setattr("yellowdog_ray.platform.work.task_view", broken)
        world.ticks(12)
        assert world.listed() == before

    bugs = [record for record in caplog.records if "a bug in RayDog" in record.getMessage()]
    assert [record.levelno for record in bugs] == [logging.ERROR]
    assert "return task.name + 1" in caplog.text
    assert "cannot be read" not in caplog.text


def test_bug_in_one_duty_leaves_the_loop_running(world, monkeypatch, caplog):
    world.grow_to(1)
    supervisor = world.provider.side.supervisor
    monkeypatch.setattr(supervisor, "_duties", (lambda _: 1 + "a", *supervisor._duties))

    world.want_cpus(3)
    world.ticks(4)

    assert len(world.ray.workers) == 3
    assert caplog.text.count("a bug in RayDog") == 1
