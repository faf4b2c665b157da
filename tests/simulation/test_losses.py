"""Nodes that die by themselves."""

import pytest


@pytest.fixture
def of_three(world):
    """A cluster of three busy workers."""
    world.grow_to(3)
    return world


def test_lost_node_is_replaced_while_demand_lasts(of_three):
    lost, *kept = sorted(of_three.listed())

    of_three.lose(lost)
    of_three.ticks(5)

    assert lost not in of_three.listed()
    assert set(kept) < of_three.listed()
    assert len(of_three.ray.workers) == len(of_three.instances) == 3


@pytest.mark.parametrize("how", ["its task exits", "its cable is cut"])
def test_node_that_the_platform_loses_is_replaced(world, how):
    if how == "its task exits":
        world.fault("task-exits", times=1)
    world.want_cpus(3)
    world.ticks(4)
    if how == "its cable is cut":
        world.lab.hosts.unplug(world.instances[0].id)

    world.ticks(20)

    assert len(world.ray.workers) == len(world.listed()) == len(world.instances) == 3
    assert len([task for task in world.tasks() if task is not world.head]) == 4


def test_lost_node_is_not_replaced_without_demand(of_three):
    lost, *kept = sorted(of_three.listed())

    of_three.want_cpus(2)
    of_three.lose(lost)
    of_three.ticks(5)

    assert of_three.listed() == set(kept)
    assert len(of_three.instances) == 2


def test_all_nodes_are_replaced_when_lost_at_once(of_three):
    before = of_three.listed()

    for node_id in before:
        of_three.lose(node_id)
    of_three.ticks(5)

    assert not before & of_three.listed()
    assert len(of_three.ray.workers) == len(of_three.instances) == 3


def test_node_lost_while_booting_is_replaced(world):
    world.want_cpus(2)
    world.tick()
    world.tick(1)
    lost = world.instances[0]

    world.lab.hosts.lose(lost.id)
    world.ticks(6)

    assert len(world.ray.workers) == len(world.instances) == 2
    assert len(world.listed()) == 2


def test_node_is_terminated_and_replaced_after_its_raylet_dies(of_three):
    dead, *kept = sorted(of_three.listed())

    of_three.ray.crash(dead)
    of_three.ticks(14)

    assert of_three.task(dead).status.finished
    assert set(kept) < of_three.listed()
    assert len(of_three.ray.workers) == len(of_three.instances) == 3
