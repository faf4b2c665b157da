"""What must hold of launches in time: how often failing ones are repeated, when they resume, and when their nodes end.

A check that fails raises `Violation`, with its name: `pace`, `resume`, `deadline`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yellowdog_client.model import TaskStatus

from tests.simulation.monitor import Life, Monitor
from yellowdog_local.state.records import TaskRecord
from yellowdog_ray.cluster.backoff import FIRST_SECONDS, MAX_SECONDS

if TYPE_CHECKING:
    from tests.simulation.world import World

DEADLINE_SECONDS = 300.0
"""How far the end of a node may be from the cluster's deadline. A launch computes a task's timeout earlier
than the task is listed here."""

OUTAGE_CODES = frozenset({"Unavailable", "NotAuthorised"})
"""Categories of the launches that fail while the platform cannot be reached, or accepts no key."""


@dataclass
class _Row:
    """The failures of one node type without a node that joined between them.

    Attributes:
        failures: how many launches have failed.
        judged: ids of the tasks that were counted.
    """

    failures: int = 0
    judged: set[str] = field(default_factory=set)


class TimeChecks:
    """Checks of one world. They hold while no call fails, and are begun anew by each fault."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._life: Life | None = None
        self._began = 0.0
        self._rows: dict[str, _Row] = {}
        self._joined: Counter[str] = Counter()
        self._seen_at: dict[str, float] = {}
        self._drained: set[str] = set()

    def after_tick(self, monitor: Monitor, *, is_calm: bool, after_outage: bool) -> None:
        """Raise `Violation` for what does not hold.

        Args:
            monitor: the autoscaler.
            is_calm: whether no call of this round or of the last one may have failed.
            after_outage: whether the last fault was an outage, and a reading must have succeeded since.
        """
        if monitor.life is not self._life or not is_calm:
            self._life, self._began, self._rows = monitor.life, self._world.seconds, {}
        self._nodes_end_with_the_cluster()
        self._failing_launches_slow_down(monitor)
        if after_outage:
            self._launches_resume(monitor)
        self._drains_end_in_time()

    def _failing_launches_slow_down(self, monitor: Monitor) -> None:
        """A node type whose nodes end before they join backs off for twice as long each time."""
        self._end_rows_of_types_that_joined()
        for launch in monitor.life.launches:
            row = self._rows.setdefault(launch.node_type, _Row())
            if launch.made == 0:
                continue
            # A task that ends while the tick submits others ends after the tick's listing: the next tick detects it.
            ends = {task.id: end for task, end in self._early_ends(launch.node_type) if end < self._world.seconds}
            new = ends.keys() - row.judged
            if not new:
                continue
            row.failures += 1
            row.judged |= ends.keys()
            waited = self._world.seconds - min(ends[task_id] for task_id in new)
            least = min(MAX_SECONDS, FIRST_SECONDS * 2 ** (row.failures - 1))
            if waited < least:
                self._world.fail(
                    "pace", f"{launch.node_type} is launched {waited:.0f} s after failure {row.failures}, not {least:g}"
                )

    def _end_rows_of_types_that_joined(self) -> None:
        """A node that joins ends the back-off of its type, also at the tick at which others are seen to have failed."""
        joined = Counter(raylet.node_type for raylet in self._world.ray.raylets.values())
        for node_type in joined.keys() | self._joined.keys():
            if joined[node_type] != self._joined[node_type]:
                self._rows[node_type] = _Row(judged={task.id for task, _ in self._early_ends(node_type)})
        self._joined = joined

    def _early_ends(self, node_type: str) -> Iterator[tuple[TaskRecord, float]]:
        """The tasks of this life that have ended by themselves before their raylet joined, and when they ended."""
        for task in self._world.tasks():
            entity = task.entity
            if entity.finishedTime is None or task.status not in (TaskStatus.COMPLETED, TaskStatus.FAILED):
                continue
            is_early = entity.name not in self._world.ray.raylets and entity.abortRequestedTime is None
            seen_at = self._seen_at[task.id]
            if is_early and self._began < seen_at < self._world.seconds and _node_type(task) == node_type:
                yield task, entity.finishedTime.timestamp()

    def _launches_resume(self, monitor: Monitor) -> None:
        """A back-off that an outage has caused ends with it."""
        for launch in monitor.life.launches:
            if launch.code in OUTAGE_CODES:
                self._world.fail("resume", f"the outage is over, and {launch.node_type} backs off: {launch.error}")

    def _nodes_end_with_the_cluster(self) -> None:
        """Every worker has the cluster's deadline, whatever the clock of the head shows."""
        head = self._world.head
        if head is None:
            return
        lifetime, began = head.entity.timeout, head.group.work.entity.createdTime
        for task in self._world.tasks():
            if task is head or task.id in self._seen_at:
                continue
            now = self._seen_at[task.id] = self._world.seconds
            assert lifetime is not None
            assert began is not None
            assert task.entity.timeout is not None
            late = now - began.timestamp() + (task.entity.timeout - lifetime).total_seconds()
            if abs(late) > DEADLINE_SECONDS:
                self._world.fail("deadline", f"node {task.entity.name} ends {late:.0f} s after the cluster's deadline")

    def _drains_end_in_time(self) -> None:
        """A drain ends soon: with the instance or with the cluster."""
        for node_id, raylet in self._world.ray.raylets.items():
            if raylet.draining_until is None or node_id in self._drained:
                continue
            self._drained.add(node_id)
            late = raylet.draining_until.timestamp() - self._world.seconds
            if abs(late) > DEADLINE_SECONDS:
                self._world.fail("deadline", f"node {node_id} is drained by a deadline that is {late:.0f} s ahead")


def _node_type(task: TaskRecord) -> str | None:
    return (task.entity.environment or {}).get("RAY_NODE_TYPE_NAME")
