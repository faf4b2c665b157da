"""Spot notices, with everything around them scripted."""

from datetime import datetime, timedelta, timezone

import pytest

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.config.models import Internal, parse_provider
from yellowdog_ray.errors import Throttled
from yellowdog_ray.monitor.preemption import Preemption
from yellowdog_ray.platform.types import DEFAULT_SPOT_NOTICE, PlatformNodeView

WARNED = datetime(2025, 1, 1, tzinfo=timezone.utc)
HEAD = ClusterNode("head", "t0", "g0", Phase.RUNNING, {"ray-node-type": "head"}, platform_node_id="n0")
WORKER = ClusterNode(
    "w1",
    "t1",
    "g1",
    Phase.RUNNING,
    {"ray-node-type": "worker", "ray-user-node-type": "cpu"},
    platform_node_id="n1",
)


class Scripted:
    """Platform, cluster, launcher and Ray's control store in one, and what they were called for."""

    def __init__(self) -> None:
        self.snapshot = Snapshot({"head": HEAD, "w1": WORKER})
        self.notices: list[PlatformNodeView] = []
        self.busy_ids: set[str] | None = {"w1"}
        self.error: Exception | None = None
        self.has_pool = True
        self.polls = 0
        self.poll_error: Exception | None = None
        self.is_due = True
        self.readings = 0
        self.drained: list[tuple[str, datetime]] = []
        self.replaced: list[str] = []

    def nodes_with_spot_notice(self) -> list[PlatformNodeView]:
        self.polls += 1
        if self.poll_error is not None:
            raise self.poll_error
        return self.notices

    def are_spot_notices_due(self) -> bool:
        return self.is_due

    def spot_notices_read(self) -> None:
        self.readings += 1

    def refresh(self) -> bool:
        return True

    def drain(self, node_id: str, deadline: datetime, why: str) -> bool:
        self.drained.append((node_id, deadline))
        return True

    def busy(self) -> set[str] | None:
        return self.busy_ids

    def replace(self, node: ClusterNode) -> str | None:
        self.replaced.append(node.id)
        if self.error is not None:
            raise self.error
        return f"{node.id}-again" if self.has_pool else None

    def now(self) -> datetime:
        return WARNED


@pytest.fixture
def world() -> Scripted:
    return Scripted()


def notice(node_id: str, provider: str | None = None) -> PlatformNodeView:
    return PlatformNodeView(node_id, "pool", f"i-{node_id}", None, None, provider=provider, spot_notice=WARNED)


def preemption(world: Scripted, *, max_workers: int | None = None, drained_count: bool = False) -> Preemption:
    settings = parse_provider({"cluster_namespace": "demo"}, "cluster.yaml")
    live = LiveSettings(settings.model_copy(update={"internal": Internal(max_workers=max_workers)}))
    return Preemption(world, world, world, live, world, world, world, drained_count=drained_count)


def test_tick_polls_nothing_without_running_workers(world):
    world.snapshot = Snapshot({"head": HEAD})

    preemption(world).tick(world.snapshot)

    assert (world.polls, world.readings) == (0, 1)


def test_tick_polls_nothing_before_a_reading_is_due(world):
    world.notices = [notice("n1")]
    world.is_due = False
    duty = preemption(world)

    duty.tick(world.snapshot)
    assert (world.polls, world.readings) == (0, 0)

    world.is_due = True
    duty.tick(world.snapshot)
    assert (world.polls, world.readings, world.replaced) == (1, 1, ["w1"])


def test_failed_poll_is_no_reading(world):
    world.poll_error = Throttled("status 429")

    with pytest.raises(Throttled):
        preemption(world).tick(world.snapshot)

    assert (world.polls, world.readings) == (1, 0)


@pytest.mark.parametrize(
    ("provider", "time_left"),
    [("AWS", timedelta(seconds=120)), ("AZURE", timedelta(seconds=30)), (None, DEFAULT_SPOT_NOTICE)],
)
def test_notice_drains_and_replaces_busy_worker_once(world, provider, time_left):
    world.notices = [notice("n1", provider)]
    duty = preemption(world)

    for _ in range(3):
        duty.tick(world.snapshot)

    assert world.drained == [("w1", WARNED + time_left)]
    assert world.replaced == ["w1"]


def test_notice_replaces_no_idle_worker(world):
    world.notices = [notice("n1")]
    world.busy_ids = set()

    preemption(world).tick(world.snapshot)

    assert [node_id for node_id, _ in world.drained] == ["w1"]
    assert world.replaced == []


def test_notice_is_retried_after_failed_replacement(world):
    world.notices = [notice("n1")]
    world.error = Throttled("too many calls")
    duty = preemption(world)
    with pytest.raises(Throttled):
        duty.tick(world.snapshot)

    world.error = None
    duty.tick(world.snapshot)
    duty.tick(world.snapshot)

    assert world.replaced == ["w1", "w1"]
    assert len(world.drained) == 1


def test_node_whose_pool_has_ended_is_drained_and_left_to_ray(world, caplog):
    world.notices = [notice("n1")]
    world.has_pool = False
    duty = preemption(world)

    duty.tick(world.snapshot)
    duty.tick(world.snapshot)

    assert (len(world.drained), world.replaced) == (1, ["w1"])
    assert "its worker pool has ended" in caplog.text


@pytest.mark.parametrize(("drained_count", "replaced"), [(False, ["w1"]), (True, [])], ids=["v2", "v1"])
def test_replacement_respects_max_workers(world, drained_count, replaced):
    world.notices = [notice("n1")]
    duty = preemption(world, max_workers=1, drained_count=drained_count)

    duty.tick(world.snapshot)
    assert world.replaced == []  # Ray does not count the drain yet
    duty.tick(world.snapshot)

    assert world.replaced == replaced


def test_notice_for_head_is_logged_once_and_changes_nothing(world, caplog):
    world.notices = [notice("n0")]
    duty = preemption(world)

    duty.tick(world.snapshot)
    duty.tick(world.snapshot)

    assert len(caplog.messages) == 1
    assert "the head's own instance (i-n0)" in caplog.text
    assert (world.drained, world.replaced) == ([], [])


def test_notice_for_unknown_node_is_ignored(world):
    world.notices = [notice("of-another-cluster")]

    preemption(world).tick(world.snapshot)

    assert (world.drained, world.replaced) == ([], [])
