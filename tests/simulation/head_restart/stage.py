"""A cluster whose workers may replace its head, and what must hold once they have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from yellowdog_client.model import TaskStatus

from tests.simulation.processes import Kill, Killed, Process
from tests.simulation.world import World
from yellowdog_local.messages import AgentEvent
from yellowdog_local.state.records import TaskRecord
from yellowdog_ray.carrier.replacement import Carriers, Replacement
from yellowdog_ray.credentials import load_credentials
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

    def shut_down_head(self) -> None:
        """Let SIGTERM end the head's task, and its machine end 3 seconds later, as at an orderly shutdown."""
        head = self.head
        assert head.worker is not None
        self.lost.add(str(head.entity.name))
        instance_id = head.worker.node.instance.id
        self.end("SIGTERM")
        self.world.at(3, lambda: self.world.lab.hosts.lose(instance_id))

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
            self._finish(task, exit_code=0)

    def _finish(self, task: TaskRecord, exit_code: int) -> None:
        assert task.worker is not None
        node_id = task.worker.node.id
        event = AgentEvent(type="FINISHED", taskId=task.id, attempt=task.attempt, exitCode=exit_code)
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
        elif how == "finish":
            world.lab.client().work_client.finish_work_requirement_by_id(self.manifest.requirement_id)
            self.lose_head()
            world.lab.advance(NOTICED)
        elif how == "SIGTERM":
            self._finish(head, exit_code=143)
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
