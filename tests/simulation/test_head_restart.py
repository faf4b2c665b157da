"""A head whose machine is lost, and the carriers that replace it: one head, no machine too many, no later end."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from yellowdog_client.model import TaskStatus

from tests.simulation.ambiguities import AMBIGUITIES
from tests.simulation.config import cluster_config
from tests.simulation.conftest import MakeWorld
from tests.simulation.processes import Kill, Killed, Process, every_kill
from tests.simulation.raylets import Demand
from tests.simulation.world import World
from yellowdog_local.messages import AgentEvent
from yellowdog_local.recording import RecordedCall
from yellowdog_local.state.records import TaskRecord
from yellowdog_local.state.settings import Settings
from yellowdog_ray.carrier.decision import MAX_RESTARTS
from yellowdog_ray.carrier.replacement import Carriers, Replacement
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.names import head_id, restarted_head_id, token_of
from yellowdog_ray.node.kit import Manifest
from yellowdog_ray.platform.client import Platform

BUILD_TIMEOUT = timedelta(minutes=10)
NOTICED = 80.0
"""Seconds from a cut cable until the platform counts the machine as lost."""

SUBMIT = "POST /work/taskGroups/*/tasks"


@dataclass
class Delivery:
    """The way to a new head, without SSH.

    Attributes:
        stage: the cluster.
        taken: the node ids of the heads that have a kit.
    """

    stage: Stage
    taken: list[str] = field(default_factory=list)
    works: bool = True
    _node_id: str = ""

    def reaches(self, address: str, node_id: str) -> bool:
        self._node_id = node_id
        running = {task.entity.name for task in self.stage.heads if task.status is TaskStatus.EXECUTING}
        return self.works and node_id in running - self.stage.lost

    def is_complete(self) -> bool:
        return self._node_id in self.taken

    def deliver(self) -> None:
        self.taken.append(self._node_id)
        self.stage.on_delivery()


class Stage:
    """A cluster of two workers that have the kit, and one that has none.

    Attributes:
        world: its world.
        delivery: sends the kit.
        carriers: the node ids of the workers with the kit.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.begin()

    def begin(self) -> None:
        """Bring the workers up."""
        self.head_answers = False
        self.world.grow_to(3)
        self.delivery = Delivery(self)
        self.on_delivery: Callable[[], None] = lambda: None
        self.lost: set[str] = set()
        self.carriers: Sequence[str] = sorted(self.world.listed())[:2]
        head = self.head
        self.manifest = Manifest("demo", str(head.group.work.id), head.id, "yd-agent", BUILD_TIMEOUT)
        self.deadline = latest_end(head)

    @property
    def head(self) -> TaskRecord:
        assert self.world.head is not None
        return self.world.head

    @property
    def heads(self) -> list[TaskRecord]:
        """All tasks of heads."""
        return [task for task in self.world.tasks() if task.group.spec is task.group.work.groups[0].spec]

    @property
    def live_heads(self) -> list[TaskRecord]:
        return [task for task in self.heads if not task.status.finished]

    def lose_head(self) -> None:
        """Cut the cable of the head's machine; its autoscaler reaches nothing any more."""
        head = self.head
        assert head.worker is not None
        self.old_monitor, self.old_ray = self.world.monitor, self.world.ray
        self.world.monitor = None
        self.world.lab.hosts.unplug(head.worker.node.instance.id)
        self.lost.add(str(head.entity.name))

    def carry(self, number: int = 0, kill: Kill | None = None) -> bool | None:
        """Run a carrier to its end; None if it was killed."""
        process = Process(f"carrier {number}")
        if kill is not None:
            process.condemn(kill)
        with self.world.processes.inside(process), suppress(Killed):
            platform = Platform(load_credentials(), "demo")
            carriers = Carriers(self.carriers[number], self.carriers)
            return Replacement(platform, self.manifest, carriers, self.delivery, lambda: self.head_answers).run()
        assert process.struck, f"the carrier was not killed {kill}"
        if self.world.task(self.carriers[number]).worker is not None:
            self.world.lose(self.carriers[number])
        self.world.lab.advance(NOTICED)
        return None

    def complete(self, node_id: str) -> None:
        """Let the script of a worker end with exit code 0, unless its task was aborted."""
        task = self.world.task(node_id)
        if task.worker is not None:
            event = AgentEvent(type="FINISHED", taskId=task.id, attempt=task.attempt, exitCode=0)
            node_id = task.worker.node.id
            self.world.lab.do(lambda platform: platform.tasks.reported(node_id, event))

    def renew(self) -> None:
        """Begin anew with another cluster that has just lost its head."""
        self.world.wire.clear()
        self.world.down()
        assert self.world.up()
        self.begin()
        self.lose_head()
        self.world.lab.advance(NOTICED)

    def down_at(self, number: int, *, applied: bool) -> None:
        """Let `ray down` run completely at this call of the first carrier."""
        self.world.wire.at_call(number, "carrier 0", "*", self._down, applied=applied)

    def up(self) -> None:
        """A `ray up` that must succeed."""
        assert self.world.up()
        self.world.monitor = None

    @property
    def all_live_heads(self) -> list[TaskRecord]:
        """The live tasks of heads of all incarnations."""
        groups = [work.groups[0] for work in self.world.ours.works]
        return [task for group in groups for task in group.tasks.values() if not task.status.finished]

    def _down(self) -> None:
        assert self.world.down()

    def end(self, how: str) -> None:
        """Let the head end in another way than by the loss of its machine."""
        world, head = self.world, self.head
        world.monitor = None
        if how == "ray down":
            assert world.down()
        elif how == "abort":
            world.lab.do(lambda platform: platform.tasks.cancel_by_user(head, abort=True))
            world.lab.advance()
        elif how == "pool":
            assert head.worker is not None
            world.lab.client().worker_pool_client.shutdown_worker_pool_by_id(head.worker.node.pool.id)
            self.lose_head()

    def assert_replaced(self) -> None:
        """Raise `AssertionError` unless one new head has the kit, and nothing else of the cluster is alive."""
        self.world.lab.advance(NOTICED)
        (head,) = self.live_heads
        assert head.status is TaskStatus.EXECUTING
        assert set(self.delivery.taken) == {head.entity.name}
        assert latest_end(head) <= self.deadline + timedelta(minutes=1)
        self.assert_only(head)

    def assert_only(self, head: TaskRecord) -> None:
        assert head.worker is not None
        live = [task.entity.name for task in self.world.tasks() if not task.status.finished]
        assert live == [head.entity.name]
        assert [instance.id for instance in self.world.ours.instances()] == [head.worker.node.instance.id]

    def assert_ended(self) -> None:
        """Raise `AssertionError` if anything of the cluster is alive."""
        self.world.lab.advance(NOTICED)
        assert self.world.ours.left == []


def latest_end(head: TaskRecord) -> datetime:
    """When a head's task times out."""
    assert head.entity.startedTime is not None
    assert head.entity.timeout is not None
    return head.entity.startedTime + head.entity.timeout


@pytest.fixture
def kind() -> str:
    """The version of Ray's autoscaler, which does not matter here."""
    return "v2"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A cluster whose workers may replace its head."""
    provider = {**cluster_config("ray", Path("key"))["provider"], "head_restart": True}
    return make_world(provider=provider)


@pytest.fixture
def stage(world: World) -> Stage:
    """A cluster with carriers, whose head lives."""
    return Stage(world)


@pytest.fixture
def lost(stage: Stage) -> Stage:
    """A cluster whose head's cable was cut, as the platform has noticed."""
    stage.lose_head()
    stage.world.lab.advance(NOTICED)
    return stage


def test_carrier_waits_until_the_platform_shows_the_loss(stage):
    stage.lose_head()

    assert stage.carry()

    stage.assert_replaced()


def test_carrier_replaces_head_after_loss_of_its_machine(lost):
    assert lost.carry()

    lost.assert_replaced()
    token = token_of(lost.live_heads[0].group.work.groups[0].spec.workerTags[0])
    assert [task.entity.name for task in lost.heads] == [head_id(token), restarted_head_id(token, 1)]


@pytest.fixture
def calls(lost: Stage) -> list[RecordedCall]:
    """The calls of a carrier that replaces a head."""
    mark = lost.world.lab.calls.mark()
    assert lost.carry()
    calls = lost.world.lab.calls.since(mark)
    lost.renew()
    return calls


def test_replaced_head_is_torn_down_by_ray_down(lost):
    lost.carry()

    assert lost.world.down()
    lost.assert_ended()


def test_replaced_head_ends_with_the_lifetime_of_the_cluster(lost):
    lost.carry()

    lost.world.lab.advance((lost.deadline - lost.world.lab.clock.now()).total_seconds() + 60)

    assert list(lost.world.ours.instances()) == []


@pytest.mark.search
@pytest.mark.timeout(600)
def test_cluster_ends_when_ray_down_interrupts_a_carrier_at_any_call(lost, calls):
    for number in range(1, len(calls) + 1):
        for applied in (False, True):
            call = f"{calls[number - 1].method} {calls[number - 1].route}, call {number}, applied {applied}"
            lost.down_at(number, applied=applied)
            assert lost.carry() in (True, False), call
            lost.world.lab.advance(NOTICED)
            assert lost.world.ours.left == [], call
            lost.renew()


@pytest.mark.search
@pytest.mark.timeout(600)
def test_cluster_ends_when_a_carrier_interrupts_ray_down_at_any_call(lost):
    number, is_reached = 0, True
    while is_reached:
        number += 1
        carried: list[bool | None] = []
        lost.world.wire.at_call(number, "ray down", "*", lambda to=carried: to.append(lost.carry()))
        assert lost.world.down()
        lost.world.lab.advance(NOTICED)
        assert lost.world.ours.left == [], f"call {number}"
        is_reached = bool(carried)
        lost.renew()
    assert number > 5


@pytest.mark.search
@pytest.mark.timeout(600)
def test_cluster_ends_after_a_killed_ray_down_and_a_carrier(lost):
    mark = lost.world.lab.calls.mark()
    lost.world.down()
    calls = lost.world.lab.calls.since(mark)
    for kill in every_kill(calls):
        lost.renew()
        lost.world.down(kill)
        lost.carry()
        assert len(lost.live_heads) <= 1, kill
        assert lost.world.down()
        lost.assert_ended()


@pytest.mark.search
@pytest.mark.timeout(600)
def test_one_head_lives_when_ray_up_interrupts_a_carrier_at_any_call(lost, calls):
    for number in range(1, len(calls) + 1):
        for applied in (False, True):
            lost.world.wire.at_call(number, "carrier 0", "*", lost.up, applied=applied)
            lost.carry()
            lost.world.lab.advance(NOTICED)
            call = f"{calls[number - 1].method} {calls[number - 1].route}, call {number}, applied {applied}"
            assert len(lost.all_live_heads) == 1, call
            assert lost.world.down()
            assert lost.world.ours.left == [], call
            lost.renew()


@pytest.mark.search
@pytest.mark.timeout(600)
def test_next_carrier_completes_what_a_killed_one_has_begun(lost, calls):
    for kill in every_kill(calls):
        assert lost.carry(0, kill) is None
        assert len(lost.live_heads) <= 1, kill
        if lost.delivery.taken:  # its own end is all that may be missing
            lost.carry(1)
        else:
            assert lost.carry(1), kill
        lost.assert_replaced()
        assert lost.world.down()
        lost.renew()


@pytest.mark.search
@pytest.mark.parametrize("ambiguity", AMBIGUITIES, ids=str)
def test_one_head_exists_after_ambiguous_answer(lost, calls, ambiguity):
    changes = dict.fromkeys(f"{call.method} {fnmatch_of(call.route)}" for call in calls if call.method != "GET")
    assert SUBMIT in changes
    for call in changes:
        with ambiguity.striking(lost.world.wire, call):
            assert lost.carry(), call
        lost.assert_replaced()
        assert lost.world.down()
        lost.renew()


def fnmatch_of(route: str) -> str:
    """A route as a pattern of paths."""
    return re.sub(r"\{\w+\}", "*", route)


def test_carrier_does_nothing_while_the_platform_shows_the_head_running(stage):
    """The workers are cut off, and the head is not."""
    assert stage.carry() is False

    assert [head.status for head in stage.heads] == [TaskStatus.EXECUTING]


def test_carrier_ends_as_soon_as_the_head_answers(stage):
    stage.head_answers = True
    began = stage.world.seconds

    assert stage.carry() is False
    assert stage.world.seconds - began < 10


@pytest.mark.parametrize("how", ["ray down", "abort", "pool"])
def test_head_is_not_replaced_after_another_end(stage, how):
    stage.end(how)

    assert stage.carry() is False

    assert len(stage.heads) <= 1


@pytest.mark.parametrize("settings", [Settings(lost_node_terminates_instance=False)], ids=["kept"])
def test_machine_of_the_lost_head_is_terminated_before_the_new_head_is_submitted(lost):
    old = lost.heads[0].entity.nodeId
    (instance,) = (one for one in lost.world.ours.instances() if one.node and one.node.id == old)
    alive = []

    with lost.world.wire.interrupted("carrier 0", SUBMIT, lambda: alive.append(instance.status.alive), applied=False):
        assert lost.carry()

    assert alive == [False]
    lost.assert_replaced()


def test_second_carrier_waits_for_the_first(lost):
    """Both act in turn, as two machines would: the second begins at each call of the first."""
    seconds = []

    def second():
        seconds.append(lost.carry(1))

    with lost.world.wire.interrupted("carrier 0", SUBMIT, second, applied=False):
        assert lost.carry(0)

    lost.assert_replaced()
    assert len(lost.heads) == 2


def test_spare_copy_of_a_new_head_is_aborted_where_names_are_not_unique(lost):
    def submit_again():
        (head,) = lost.live_heads
        names, name = head.group.names, str(head.entity.name)
        del names[name]
        lost.world.lab.tasks(head.group, name, environment=dict(head.entity.environment or {}))

    with lost.world.wire.interrupted("carrier 0", SUBMIT, submit_again, applied=True):
        assert lost.carry(0)

    lost.assert_replaced()


def test_new_head_is_withdrawn_that_gets_no_machine(lost):
    lost.world.fault("never-boots")

    assert lost.carry() is False

    lost.world.lab.advance(NOTICED)
    assert lost.live_heads == []


def test_running_head_is_left_to_end_by_itself_that_cannot_be_reached(lost):
    """Another carrier may reach it; the carrier may be cut off from a head that works."""
    lost.delivery.works = False

    assert lost.carry() is False

    (head,) = lost.live_heads
    assert (head.status, head.entity.abortRequestedTime) == (TaskStatus.EXECUTING, None)
    assert (head.entity.environment or {})["RAYDOG_HEAD_RESTART"] == "600"


def test_head_is_replaced_three_times_at_most(lost):
    for _ in range(MAX_RESTARTS):
        lost.delivery.taken.clear()
        assert lost.carry()
        lost.assert_replaced()
        lost.lose_head()

    assert lost.carry() is False
    assert lost.live_heads == []


def test_new_head_launches_workers_at_once(lost):
    """It sees the carriers before they end, which are no failed launches."""

    def start_head():
        lost.world.start_head(str(lost.head.entity.name))
        lost.world.want_cpus(3)
        lost.world.tick()

    lost.on_delivery = start_head
    assert lost.carry()
    lost.complete(lost.carriers[0])
    lost.world.ticks(4)

    assert len(lost.world.ray.workers) == 3
    assert not lost.world.provider.side.launcher.backoff.waits("worker")
    assert lost.world.provider.node_tags(str(lost.head.entity.name))["ray-node-status"] == "up-to-date"


def test_lost_head_that_still_runs_launches_and_terminates_nothing(lost):
    lost.carry()
    lost.world.start_head(str(lost.head.entity.name))
    lost.world.grow_to(2)
    before = {(task.entity.name, task.entity.abortRequestedTime) for task in lost.world.tasks()}

    lost.world.monitor = lost.old_monitor
    lost.old_ray.demands = [Demand({"CPU": 1}, 9)]
    for _ in range(20):
        lost.world.tick()
    lost.world.provider.terminate_nodes([name for name, _ in before])
    lost.world.run_threads()

    assert {(task.entity.name, task.entity.abortRequestedTime) for task in lost.world.tasks()} == before


@pytest.mark.parametrize("seconds", [15, 60])
def test_one_head_exists_where_lists_lag(lost, seconds):
    lost.world.fault("listing-lag", seconds=seconds)

    assert lost.carry()

    lost.world.lab.advance(seconds)
    lost.assert_replaced()
