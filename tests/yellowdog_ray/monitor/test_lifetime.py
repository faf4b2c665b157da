"""The end of a cluster's lifetime: warnings before it, and the drain of the workers."""

import logging
from datetime import datetime, timedelta, timezone

import pytest

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.monitor.lifetime import Lifetime

DEADLINE = datetime(2025, 1, 1, 12, tzinfo=timezone.utc)


class FixedClock:
    """A clock that a test sets."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment


class OneCluster:
    """A cluster as far as its deadline."""

    def __init__(self, deadline: datetime | None) -> None:
        self._deadline = deadline

    def deadline(self) -> datetime | None:
        return self._deadline


class Drains:
    """Records drains, and agrees to them or not."""

    def __init__(self) -> None:
        self.agrees = True
        self.requested: list[str] = []

    def drain(self, node_id: str, deadline: datetime, why: str) -> bool:
        assert deadline == DEADLINE
        self.requested.append(node_id)
        return self.agrees


def node(node_id: str, kind: str = "worker", phase: Phase = Phase.RUNNING) -> ClusterNode:
    return ClusterNode(node_id, f"ydid:{node_id}", "g", phase, {"ray-node-type": kind})


SNAPSHOT = Snapshot({n.id: n for n in (node("head", "head"), node("w1"), node("w2", phase=Phase.PENDING))})


@pytest.fixture
def drains() -> Drains:
    return Drains()


def ticks(lifetime: Lifetime, clock: FixedClock, *minutes_left: float) -> None:
    for minutes in minutes_left:
        clock.moment = DEADLINE - timedelta(minutes=minutes)
        lifetime.tick(SNAPSHOT)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(DEADLINE)


@pytest.fixture
def lifetime(drains, clock) -> Lifetime:
    return Lifetime(OneCluster(DEADLINE), drains, clock)


def test_lifetime_warns_once_per_mark(lifetime, clock, caplog):
    caplog.set_level(logging.WARNING)

    ticks(lifetime, clock, 90, 61, 60, 59, 30, 29, 10, 5, 1)

    assert [message.split(",")[0] for message in caplog.messages] == [
        f"the cluster's lifetime ends in {minutes} min" for minutes in (60, 30, 10, 5, 1)
    ]
    assert "provider.cluster_lifetime_hours" in caplog.text


def test_lifetime_drains_running_workers_once_in_last_minute(lifetime, clock, drains):
    ticks(lifetime, clock, 2, 1, 0.5)

    assert drains.requested == ["w1"]


def test_lifetime_repeats_drain_that_ray_declined(lifetime, clock, drains):
    drains.agrees = False

    ticks(lifetime, clock, 1, 0.5)

    assert drains.requested == ["w1", "w1"]


def test_lifetime_does_nothing_while_deadline_is_unknown(drains, clock, caplog):
    Lifetime(OneCluster(None), drains, clock).tick(SNAPSHOT)

    assert (caplog.messages, drains.requested) == ([], [])
