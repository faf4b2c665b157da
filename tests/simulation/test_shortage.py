"""A shortage of a day: Ray's own books stay small, `ray status` shows the failure, and growth resumes after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.config import cluster_config
from tests.simulation.conftest import CLUSTER
from tests.simulation.test_outages import adds_tasks
from tests.simulation.world import World
from yellowdog_ray.cluster.backoff import MAX_SECONDS

HOURS = 24
PAUSES = (3590, 5, 5)
"""Seconds before the ticks of an hour: at the first a launch is tried, at the others the type is in back-off."""

WANTED = 20
OTHERS = 10
"""Records that Ray may have besides those of a launch and of the launch before it: the head's, a failure's."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def long_world(tmp_path: Path, kind: str) -> Iterator[World]:
    """A cluster that lives for two days."""
    with World(tmp_path, autoscaler=kind) as world:
        world.yaml = cluster_config(CLUSTER, world.key, cluster_lifetime_hours=2 * HOURS)
        world.ours.begin()
        assert world.up()
        yield world


def records(world: World, hours: int) -> list[int]:
    """The number of Ray's records after each tick of some hours."""
    counts = []
    for pause in PAUSES * hours:
        assert world.tick(pause)
        counts.append(world.autoscaler.records())
    return counts


def test_refused_launches_leave_few_records(long_world):
    world = long_world
    world.want_cpus(WANTED)

    with world.wire.losing(adds_tasks):
        counts = records(world, HOURS)
        failed = world.autoscaler.failed_types()

    assert max(counts) <= 2 * WANTED + OTHERS
    assert failed == {"worker"}
    world.tick(MAX_SECONDS)
    world.ticks(2)
    assert len(world.listed()) == WANTED


def test_launches_without_capacity_leave_few_records(long_world):
    world = long_world
    fault = world.fault("capacity", limit=0)
    world.want_cpus(WANTED)

    counts = records(world, 6)

    assert max(counts) <= 6 * WANTED + OTHERS  # those of the launches between two removals
    world.lab.faults.remove(fault)
    world.tick(MAX_SECONDS)
    world.ticks(4)
    assert len(world.ray.workers) == WANTED
