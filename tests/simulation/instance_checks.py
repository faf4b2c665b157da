"""What must hold of instances: each belongs to a listed node, or ends soon.

A check that fails raises `Violation`, with the name `forgotten`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.limits import SPARE_SECONDS, TERMINATED_SECONDS, TICK, build_seconds
from tests.simulation.monitor import Tick
from tests.simulation.ownership import is_ending
from yellowdog_local.state.records import InstanceRecord

if TYPE_CHECKING:
    from tests.simulation.world import World


class InstanceChecks:
    """Checks of one world.

    Attributes:
        since: the instances without a listed node, each with the reason, and since when.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.since: dict[tuple[str, str], float] = {}

    def after_tick(self, tick: Tick, *, listed: set[str], terminated: frozenset[str], trouble_ended: float) -> None:
        """Raise `Violation` for an instance that lives too long without a listed node.

        Args:
            tick: the round.
            listed: names of the nodes that this autoscaler has listed before.
            terminated: ids of the nodes whose termination has begun.
            trouble_ended: when the last fault began or ended.
        """
        now = self._world.seconds
        since: dict[tuple[str, str], float] = {}
        for instance in self._world.ours.instances():
            if not instance.status.alive:
                continue  # it terminates already
            why, limit = self._excuse(instance, tick, listed, terminated)
            if why is None:
                continue
            key = (instance.id, why)
            since[key] = self.since.get(key, now)
            began = max(since[key], self._worked_at(instance) if why == "idle" else trouble_ended)
            if now - began > limit and not (why != "idle" and self._world.in_trouble):
                self._world.fail("forgotten", f"instance {instance.id} is {why} for {now - began:.0f} s")
        self.since = since

    def _worked_at(self, instance: InstanceRecord) -> float:
        """When the last task on an instance ended; it may have come and gone between two rounds."""
        node_id = instance.node.id if instance.node else None
        work = self._world.work
        tasks = self._world.witness.tasks_of(work) if work else ()
        ends = [task.entity.finishedTime for task in tasks if task.entity.nodeId == node_id]
        return max((end.timestamp() for end in ends if end is not None), default=0.0)

    def _excuse(
        self, instance: InstanceRecord, tick: Tick, listed: set[str], terminated: frozenset[str]
    ) -> tuple[str | None, float]:
        """Why an instance may live without a listed node for a while, and for how long; None if it has one."""
        if instance.node is None:
            return "pending", build_seconds(self._world.yaml) + SPARE_SECONDS  # the platform's own boot timeout
        if instance.node.stranded:
            return "stranded", SPARE_SECONDS
        living = [task for task in instance.node.tasks if not task.status.finished]
        if not living:
            return "idle", SPARE_SECONDS
        living = [task for task in living if task.entity.name not in self._world.copies]
        if not living:
            return None, 0.0
        names = {str(task.entity.name) for task in living}
        if names & terminated or any(is_ending(task) for task in living):
            return "given up", TERMINATED_SECONDS
        if names <= (tick.listing or listed) or self._world.gcs.is_down:
            return None, 0.0  # without its control store, Ray does not list
        return "unknown", 2 * TICK if listed else TERMINATED_SECONDS
