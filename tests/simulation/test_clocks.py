"""A head whose clock is wrong: deadlines, drains and timeouts follow the platform's clock."""

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from ray.core.generated.autoscaler_pb2 import DrainNodeReason


@pytest.fixture
def set_clock(platform_only) -> Callable[[float], None]:
    """Sets the head's clock, which is so many hours ahead. Ray's autoscaler v1 stops when its clock goes back."""

    def run(hours: float) -> None:
        platform_only.head_clock_error = platform_only.ray.clock_error = timedelta(hours=hours)
        platform_only.restart_autoscaler()

    return run


OFFSETS = [2, -2, 1 / 6, -1 / 6]


@pytest.mark.parametrize("hours", OFFSETS)
def test_worker_gets_the_rest_of_the_lifetime_whatever_the_clock(world, set_clock, hours):
    set_clock(hours)
    world.ticks(3)
    world.want_cpus(2)
    world.ticks(4)

    assert len(world.ray.workers) == 2
    for node_id in world.listed():
        task = world.task(node_id).entity
        ends = task.startedTime + task.timeout
        assert abs(ends - world.provider.side.cluster.deadline()) < timedelta(seconds=15)


@pytest.mark.parametrize("hours", OFFSETS)
def test_workers_are_drained_in_the_last_minute_whatever_the_clock(world, set_clock, monkeypatch, hours):
    drained = []
    drain = world.gcs.drain_node

    def note(node_id: str, reason: int, reason_message: str, deadline_timestamp_ms: int) -> object:
        # Ray compares the deadline with this machine's clock.
        if reason == DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION:
            drained.append((world.seconds, deadline_timestamp_ms / 1000 - hours * 3600))
        return drain(node_id, reason, reason_message, deadline_timestamp_ms)

    world.grow_to(1)
    deadline = world.provider.side.cluster.deadline().timestamp()
    set_clock(hours)
    world.lab.advance(deadline - world.seconds - 150)
    world.ticks(3)
    monkeypatch.setattr(world.gcs, "drain_node", note)
    world.ticks(26)

    assert drained
    for at, until in drained:
        assert deadline - 65 <= at <= deadline
        assert abs(until - deadline) < 10


def test_wrong_clock_is_logged_once(world, set_clock, caplog):
    caplog.set_level(logging.WARNING)
    set_clock(2)
    world.ticks(5)

    assert caplog.text.count("this machine's clock is 2:00:00 ahead of YellowDog's") == 1
