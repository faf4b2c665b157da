"""A platform that leaves the instances of lost platform nodes running: the provider terminates them."""

import pytest

from yellowdog_local.state.settings import Settings


@pytest.fixture
def settings():
    """The platform's settings."""
    return Settings(lost_node_terminates_instance=False)


@pytest.fixture
def of_three(world):
    """A cluster of three busy workers."""
    world.grow_to(3)
    return world


def unplug_one(world):
    """Cut the network of one worker's instance."""
    (instance, *_) = world.instances
    world.lab.hosts.unplug(instance.id)
    return instance


def test_instance_of_a_lost_platform_node_is_terminated(of_three):
    lost = unplug_one(of_three)

    of_three.ticks(20)

    assert not lost.status.alive
    assert len(of_three.ray.workers) == len(of_three.instances) == 3


def test_instance_is_terminated_that_was_lost_while_no_autoscaler_ran(of_three):
    lost = unplug_one(of_three)
    of_three.lab.advance(70)
    assert lost.status.alive

    of_three.restart_autoscaler()
    of_three.ticks(4)

    assert not lost.status.alive


def test_instance_is_terminated_that_is_lost_after_its_worker_has_left(of_three):
    """Its agent is silent while the worker is terminated, so the platform node has no task when it is lost."""
    lost = unplug_one(of_three)

    of_three.want_cpus(0)
    of_three.ticks(40)

    assert not lost.status.alive
    assert of_three.instances == []
