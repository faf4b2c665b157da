"""What must hold of the listed nodes: they are the cluster's, keep their identity, and leave the list when they end.

A check that fails raises `Violation`, with its name: `stranger`, `stale`.
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING

from tests.simulation.monitor import Monitor, Tick
from yellowdog_local.state.records import TaskRecord
from yellowdog_ray.node.variables import NODE_TAGS
from yellowdog_ray.remote.tag_values import MUTABLE

if TYPE_CHECKING:
    from tests.simulation.world import World

STALE_ROUNDS = 3
"""Number of rounds before this one in which a node whose task has ended may have been listed while no call fails.

Rounds, not seconds: the autoscaler has no round while Ray's control store is down.
"""


class ListingChecks:
    """Checks of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._identities: dict[str, dict[str, str]] = {}
        self._rounds: deque[float] = deque(maxlen=STALE_ROUNDS + 1)

    def after_tick(self, monitor: Monitor, tick: Tick, *, is_calm: bool) -> None:
        """Raise `Violation` for what does not hold.

        Args:
            monitor: the autoscaler.
            tick: the round.
            is_calm: whether no call of this round or of the last one may have failed.
        """
        if tick.listing is None:
            return
        tasks = self._tasks()
        if strangers := tick.listing - tasks.keys():
            self._world.fail("stranger", f"the listing has {sorted(strangers)}, which are no nodes of this cluster")
        for node_id in tick.listing:
            identity, tags = self._identity(tasks[node_id]), monitor.provider.node_tags(node_id)
            if tags and (wrong := {key: tags.get(key) for key in identity if tags.get(key) != identity[key]}):
                self._world.fail("stranger", f"node {node_id} is listed with {wrong}, and is {identity}")
        self._rounds.append(self._world.seconds)
        if not tick.fresh or not is_calm or len(self._rounds) <= STALE_ROUNDS:
            return
        ended = {node_id: tasks[node_id].entity.finishedTime for node_id in tick.listing}
        first = self._rounds[0]
        if stale := [id_ for id_, end in ended.items() if end is not None and end.timestamp() < first]:
            self._world.fail("stale", f"the listing has {stale}, which have ended")

    def _tasks(self) -> dict[str, TaskRecord]:
        """The tasks of the cluster's nodes by name, also those that the platform has removed after their end."""
        work = self._world.work
        tasks = self._world.witness.tasks_of(work) if work else ()
        return {str(task.entity.name): task for task in tasks if task.entity.name not in self._world.copies}

    def _identity(self, task: TaskRecord) -> dict[str, str]:
        """The tags of a node that never change."""
        if task.id not in self._identities:
            tags = json.loads((task.entity.environment or {}).get(NODE_TAGS, "{}"))
            self._identities[task.id] = {key: value for key, value in tags.items() if key not in MUTABLE}
        return self._identities[task.id]
