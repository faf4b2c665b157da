"""Workers between launch and joining, with everything around them scripted."""

import pytest

from tests.yellowdog_ray.hand_moved_time import Time
from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.config.models import parse_provider
from yellowdog_ray.errors import LaunchBackedOff, NoCapacity, ProvisioningFailed, QuotaExceeded
from yellowdog_ray.monitor.early_ends import EarlyEnds
from yellowdog_ray.monitor.liveness import POOL_POLL_SECONDS, SHORTAGE_TIMEOUT_SECONDS, Builds
from yellowdog_ray.monitor.updater_steps import Setups
from yellowdog_ray.platform.types import ComputeView, Placement, PoolView, TaskGroupView, TaskView

GROUP = TaskGroupView("g", "g", "tag", None, None, Placement(("tag",), ()))
TIMEOUT_SECONDS = 600


def worker(number: int, phase: Phase = Phase.PENDING) -> ClusterNode:
    tags = {"ray-node-type": "worker", "ray-user-node-type": "cpu"}
    platform_node = f"n{number}" if phase is Phase.RUNNING else None
    return ClusterNode(f"w{number}", f"t{number}", "g", phase, tags, f"10.0.0.{number}", None, platform_node)


class Scripted:
    """Platform, cluster and Ray's control store in one."""

    def __init__(self, time: Time) -> None:
        self.monotonic = time
        self.backoff = BackOff(time)
        self.snapshot = Snapshot()
        self.pool = PoolView("p", "tag", "RUNNING", False, "compute")
        self.compute_view = ComputeView("PROVISIONING", False, 0)
        self.joined_ids: set[str] = set()
        self.nameless: set[str] = set()
        self.answers = True
        self.terminated: list[str] = []
        self.ended: list[TaskView] = []

    def show(self, *nodes: ClusterNode) -> Snapshot:
        self.snapshot = Snapshot({node.id: node for node in nodes})
        return self.snapshot

    def group(self, group_id: str) -> TaskGroupView:
        return GROUP

    def find_pool(self, name: str) -> PoolView:
        return self.pool

    def compute(self, requirement_id: str) -> ComputeView:
        return self.compute_view

    def terminate(self, node_ids: list[str]) -> None:
        self.terminated += node_ids
        self.show(*(node for node in self.snapshot.nodes.values() if node.id not in node_ids))

    def take_ended(self) -> list[TaskView]:
        ended, self.ended = self.ended, []
        return ended

    def refresh(self) -> bool:
        return self.answers

    def joined(self, node_id: str, address: str | None) -> bool:
        return node_id in self.joined_ids

    def lacks_id(self, address: str | None) -> bool:
        return address in self.nameless

    def why_backed_off(self) -> tuple[str, str]:
        with pytest.raises(LaunchBackedOff) as caught:
            self.backoff.check("cpu")
        return caught.value.code, str(caught.value)


@pytest.fixture
def world(time) -> Scripted:
    return Scripted(time)


@pytest.fixture
def setups(time) -> Setups:
    return Setups(time)


@pytest.fixture
def builds(world, setups, time) -> Builds:
    settings = parse_provider({"cluster_namespace": "demo"}, "cluster.yaml")
    early_ends = EarlyEnds(world, world.backoff, world, time)
    return Builds(world, world, world, LiveSettings(settings), world, setups, early_ends, world, ids_needed=True)


class TestTimeout:
    def test_pending_worker_is_terminated_after_timeout(self, world, builds, time):
        world.show(worker(1))
        builds.tick(world.snapshot)
        time.now += TIMEOUT_SECONDS - 1
        builds.tick(world.snapshot)
        assert world.terminated == []

        time.now += 1
        builds.tick(world.snapshot)

        assert world.terminated == ["w1"]
        assert world.why_backed_off()[0] == "NeverAllocated"

    def test_running_worker_is_terminated_when_it_never_joins(self, world, builds, time):
        world.show(worker(1, Phase.RUNNING))
        builds.tick(world.snapshot)
        time.now += TIMEOUT_SECONDS
        builds.tick(world.snapshot)

        assert world.terminated == ["w1"]
        assert world.why_backed_off()[0] == "NeverJoined"

    def test_running_worker_is_kept_while_ray_does_not_answer(self, world, builds, time):
        world.show(worker(1, Phase.RUNNING))
        world.answers = False
        builds.tick(world.snapshot)
        time.now += 2 * TIMEOUT_SECONDS

        builds.tick(world.snapshot)

        assert world.terminated == []

    def test_timeout_starts_anew_with_each_updater_step(self, world, builds, setups, time):
        world.show(worker(1, Phase.RUNNING))
        builds.tick(world.snapshot)
        time.now += TIMEOUT_SECONDS - 1
        with setups.step("w1", "`make`"):
            pass
        time.now += TIMEOUT_SECONDS - 1
        builds.tick(world.snapshot)
        assert world.terminated == []

        time.now += 1
        builds.tick(world.snapshot)

        assert world.terminated == ["w1"]
        assert "no further than `make`" in world.why_backed_off()[1]


class TestJoined:
    def test_builds_are_stable_at_tick_after_last_node_joined(self, world, builds):
        world.show(worker(1, Phase.RUNNING))
        builds.tick(world.snapshot)
        assert not builds.stable

        world.joined_ids = {"w1"}
        builds.tick(world.snapshot)
        builds.tick(world.snapshot)

        assert builds.stable

    def test_joined_node_ends_backoff(self, world, builds):
        world.backoff.failed("cpu", NoCapacity("x"))
        world.joined_ids = {"w1"}

        builds.tick(world.show(worker(1, Phase.RUNNING)))

        world.backoff.check("cpu")

    def test_node_without_id_is_logged_once_with_its_script(self, world, builds, caplog):
        world.joined_ids, world.nameless = {"w1"}, {"10.0.0.1"}
        world.show(worker(1, Phase.RUNNING))

        for _ in range(2):
            builds.tick(world.snapshot)

        assert len(caplog.messages) == 1
        assert "provider.ray_worker_node_task_script" in caplog.text


class TestShortage:
    @pytest.fixture
    def short(self, world, builds, time):
        """Lets a shortage go on for a while with two waiting workers; the younger is w2."""

        def run(*messages: str, instances: int = 0, seconds: float = SHORTAGE_TIMEOUT_SECONDS) -> list[str]:
            world.compute_view = ComputeView("PROVISIONING", False, instances, (), messages)
            builds.tick(world.show(worker(1)))
            time.now += 1
            world.show(worker(1), worker(2))
            builds.tick(world.snapshot)
            time.now += POOL_POLL_SECONDS
            builds.tick(world.snapshot)
            time.now += seconds
            builds.tick(world.snapshot)
            return world.terminated

        return run

    def test_shortage_withdraws_unserved_workers_youngest_first(self, short):
        assert short("no capacity", instances=1) == ["w2"]

    def test_short_shortage_withdraws_nothing(self, short):
        assert short("no capacity", seconds=SHORTAGE_TIMEOUT_SECONDS - 1) == []

    def test_pool_without_messages_is_no_shortage(self, short):
        assert short() == []

    def test_served_workers_stay(self, short):
        assert short("no capacity", instances=2) == []

    @pytest.mark.parametrize(
        ("message", "kind"),
        [
            ("Insufficient capacity", NoCapacity),
            ("vCPU quota exceeded", QuotaExceeded),
            ("no such image", ProvisioningFailed),
        ],
    )
    def test_shortage_has_category_of_its_messages(self, world, short, message, kind):
        assert sorted(short(message)) == ["w1", "w2"]

        code, text = world.why_backed_off()
        assert code == kind.code
        assert message in text

    def test_ended_pool_fails_its_workers(self, world, short):
        world.pool = PoolView("p", "tag", "SHUTDOWN", True, "compute")

        assert sorted(short(seconds=0)) == ["w1", "w2"]
        assert "has ended (SHUTDOWN)" in world.why_backed_off()[1]


def test_failed_setup_lets_type_back_off_with_the_failed_step(world, builds, setups):
    with pytest.raises(OSError, match="lost"), setups.step("w1", "`make install`"):
        raise OSError("connection lost")

    builds.set_up_failed([worker(1, Phase.RUNNING)])

    code, text = world.why_backed_off()
    assert code == "SetupFailed"
    assert "its set-up failed at `make install` (connection lost)" in text
