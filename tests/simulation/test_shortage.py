"""A shortage of a day: Ray's own books and its tick stay as small as they were, and growth resumes after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.config import cluster_config
from tests.simulation.conftest import CLUSTER
from tests.simulation.test_outages import adds_tasks
from tests.simulation.world import World

HOURS = 24
SECONDS = 1200
"""Between two ticks of the day: longer than the longest back-off."""

WANTED = 50

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def long_world(tmp_path: Path, kind: str) -> Iterator[World]:
    """A cluster that lives for two days."""
    with World(tmp_path, autoscaler=kind) as world:
        world.yaml = cluster_config(CLUSTER, world.key, cluster_lifetime_hours=2 * HOURS)
        world.ours.begin()
        assert world.up()
        yield world


def day(world: World) -> list[int]:
    """The number of Ray's records after each hour of a day."""
    counts = []
    for _ in range(HOURS):
        for _ in range(3600 // SECONDS):
            assert world.tick(SECONDS)
        counts.append(world.autoscaler.records())
    return counts


def test_refused_launches_leave_few_records(long_world):
    world = long_world
    world.want_cpus(WANTED)

    with world.wire.losing(adds_tasks):
        counts = day(world)
        failed = world.autoscaler.failed_types()

    assert counts[-1] - counts[0] <= 12 * HOURS
    assert failed == {"worker"}
    world.ticks(70)
    assert len(world.listed()) == WANTED


def test_launches_without_capacity_leave_few_records(long_world):
    world = long_world
    fault = world.fault("capacity", limit=0)
    world.want_cpus(WANTED)

    counts = day(world)

    assert counts[-1] - counts[0] <= 12 * HOURS
    world.lab.faults.remove(fault)
    world.ticks(75)
    assert len(world.ray.workers) == WANTED
