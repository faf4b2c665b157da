"""The number of platform calls in a cluster's lifetime: one per node for its termination, no other grows with nodes."""

import re
from collections import Counter

import pytest

LIFE_TICKS = (4, 25)
"""Ticks to grow, and ticks to be idle and shrink."""

LIFE_CALLS = 100
"""All calls of a lifetime apart from terminations: two per stable tick, a few more when something changes."""

SIZES = [10, 60]


def calls_of(world, ticks: int) -> list[str]:
    """The platform calls of some ticks and of the work that they begin."""
    made = []
    for _ in range(ticks):
        assert world.tick()
        made += world.wire.calls
    return made


@pytest.mark.parametrize("count", SIZES)
def test_node_costs_one_call_of_its_own_in_its_lifetime(world, count):
    growing, shrinking = LIFE_TICKS
    world.want_cpus(count)
    made = calls_of(world, growing)
    assert len(world.ray.workers) == count

    world.want_cpus(0)
    made += calls_of(world, shrinking)

    assert world.instances == []
    assert sum(call.endswith("/cancel") for call in made) == count
    assert len(made) - count <= LIFE_CALLS


def test_tasks_are_submitted_in_batches(world, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.platform.work.TASK_BATCH_SIZE", 10)
    world.tick()

    world.want_cpus(60)
    made = calls_of(world, 1)

    assert len(world.listed()) == 60
    assert sum(call.startswith("POST /work/taskGroups/") for call in made) == 6
    assert len(made) <= 6 + 10


def test_addresses_cost_no_call_once_known(world):
    world.grow_to(20)
    world.wire.clear()

    for node_id in world.listed():
        for _ in range(12):  # as often as autoscaler v1 reads it on each tick
            assert world.provider.internal_ip(node_id)
        assert world.provider.external_ip(node_id)

    assert world.wire.calls == []


def test_tick_before_next_poll_costs_no_call(world):
    world.grow_to(5)
    world.ticks(2)

    assert world.tick(2.0)

    assert world.wire.calls == []
    assert len(world.listing) == 6


def test_platform_is_read_on_every_tick_while_nodes_join(world):
    world.want_cpus(3)
    world.tick()

    assert world.tick(2.0)

    assert world.wire.calls != []


def test_stable_cluster_reads_little_but_spot_notices(world):
    world.grow_to(5)
    world.ticks(8)

    made = Counter(re.sub("/ydid:.*", "", call) for call in calls_of(world, 24))  # two minutes

    assert made == {"GET /workerPools/nodes": 24, "GET /work/requirements": 4, "GET /work/tasks": 4}
