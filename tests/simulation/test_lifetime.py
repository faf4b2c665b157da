"""The end of a cluster's lifetime: announced, orderly, and the same for all nodes."""

import logging

import pytest

MINUTE_TICKS = 12


@pytest.fixture
def announcements(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [text for text in (record.getMessage() for record in caplog.records) if "lifetime ends" in text]


@pytest.fixture
def world(make_world):
    """A cluster with a lifetime of half an hour."""
    world = make_world(cluster_lifetime_hours=0.5)
    world.grow_to(2)
    return world


def test_end_of_lifetime_is_announced_once_at_each_step(world, announcements):
    world.ticks(28 * MINUTE_TICKS)

    assert [text.split(" in ")[1].split(",")[0] for text in announcements()] == ["10 min", "5 min"]
    assert all("provider.cluster_lifetime_hours" in text for text in announcements())


def test_workers_are_drained_in_the_last_minute(world):
    world.ticks(28 * MINUTE_TICKS)
    assert all(raylet.draining_until is None for raylet in world.ray.workers)

    world.ticks(MINUTE_TICKS)

    deadline = world.provider.side.cluster.deadline()
    assert [raylet.draining_until for raylet in world.ray.workers] == [deadline, deadline]


def test_no_worker_is_launched_in_the_last_two_minutes(world):
    world.ticks(28 * MINUTE_TICKS)

    world.want_cpus(5)
    world.ticks(3)

    assert len(world.listed()) == 2


def test_no_instance_runs_after_the_lifetime(world):
    world.pass_time(32 * 60)
    assert world.head is None

    world.pass_time(180)

    assert list(world.ours.instances()) == []


def test_no_instance_runs_after_the_lifetime_without_head(make_world):
    world = make_world(cluster_lifetime_hours=0.5)
    world.fault("never-registers")
    world.want_cpus(2)
    world.tick()
    world.lab.hosts.lose(world.head.worker.node.instance.id)

    world.lab.advance(29 * 60)
    assert len(world.instances) == 2

    world.lab.advance(10 * 60)
    assert list(world.ours.instances()) == []
    world.lab.advance(3600)
    assert list(world.ours.instances()) == []
