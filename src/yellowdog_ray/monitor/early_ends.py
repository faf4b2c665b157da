"""Detects workers whose task ends before Ray joins or shortly after, and lets their node type back off.

Without that, a script that exits at once would get one machine after another. Runs on the head only.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

from ray.autoscaler.tags import NODE_KIND_WORKER, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.journal import Act, Note, note_nothing
from yellowdog_ray.cluster.snapshot import ClusterNode, Snapshot
from yellowdog_ray.errors import EndedAfterJoin, EndedBeforeJoin, NodeBuildError
from yellowdog_ray.monitor.failures import record_failure
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.platform.types import TaskView

LASTING_SECONDS = 60.0
"""How long a worker must run after Ray has joined to count as launched. Boots and scripts that end sooner cost more
than they give."""

MAX_UNJUDGED = 1_000
"""Ended workers that are kept until Ray's control store answers."""


class EarlyEnds:
    """Watches the ends of workers, as the listing shows them. No platform call.

    Args:
        cluster: the cluster.
        backoff: the back-off of node types.
        ray_nodes: the nodes in Ray's control store.
        monotonic: seconds that never go back.
        note: receives the nodes that have joined.
    """

    def __init__(
        self,
        cluster: Cluster,
        backoff: BackOff,
        ray_nodes: RayNodes,
        monotonic: Callable[[], float],
        note: Note = note_nothing,
    ) -> None:
        self._note = note
        self._cluster = cluster
        self._backoff = backoff
        self._ray_nodes = ray_nodes
        self._monotonic = monotonic
        self._snapshot = Snapshot()
        self._watches = False  # the first answer shows nodes that may have joined long before this process started
        self._joined: set[str] = set()
        self._joined_lately: dict[str, tuple[str, float]] = {}
        self._unjudged: deque[TaskView] = deque(maxlen=MAX_UNJUDGED)

    def joined(self, nodes: Iterable[ClusterNode]) -> None:
        """Note the nodes that have joined since the last answer of Ray's control store."""
        now = self._monotonic()
        for node in nodes:
            self._joined.add(node.id)
            self._backoff.joined(node.node_type)
            if self._watches:
                self._joined_lately[node.id] = (node.node_type, now)
                self._note(Act.JOINED, "Ray runs on it", node_type=node.node_type, node_ids=[node.id])
        self._watches = True

    def tick(self, snapshot: Snapshot) -> None:
        """Judge the workers that have ended since the last tick; without an answer of Ray's, at a later one."""
        self._unjudged += [task for task in self._cluster.take_ended() if _is_worker(task)]
        if self._unjudged:
            self._judge()
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._joined &= snapshot.nodes.keys() | {task.name for task in self._unjudged}
        self._note_lasting(snapshot)

    def _judge(self) -> None:
        known = {task.id for task in self._unjudged if self._has_joined(task)}
        if not self._ray_nodes.refresh():
            return
        before_join, after_join = defaultdict(list), defaultdict(list)
        for task in self._unjudged:
            node_type = task.tags.get(TAG_RAY_USER_NODE_TYPE, "")
            is_early = task.name in self._joined_lately or task.id not in known
            if not self._has_joined(task):
                before_join[node_type].append(task)
            elif is_early and not self._ray_nodes.drained(task.name):
                after_join[node_type].append(task)
            self._joined_lately.pop(task.name, None)
        self._unjudged.clear()
        self._record(before_join.items(), EndedBeforeJoin, "its task ended before Ray joined")
        self._record(
            after_join.items(), EndedAfterJoin, f"its task ended within {LASTING_SECONDS:.0f} s after Ray joined"
        )

    def _has_joined(self, task: TaskView) -> bool:
        return task.name in self._joined or self._ray_nodes.joined(task.name, None)

    def _record(self, failed: Iterable[tuple[str, Sequence[TaskView]]], kind: type[NodeBuildError], what: str) -> None:
        for node_type, tasks in failed:
            first = tasks[0]
            end = "; ".join((first.status, *first.errors))
            reason = kind(
                f"node {first.name} of type '{node_type}': {what} ({end}): look at the output of its task in "
                "YellowDog's portal, and at provider.ray_worker_node_task_script"
            )
            record_failure(self._backoff, node_type, [task.name for task in tasks], reason)

    def _note_lasting(self, snapshot: Snapshot) -> None:
        now = self._monotonic()
        old = [(id_, kind) for id_, (kind, at) in self._joined_lately.items() if now - at >= LASTING_SECONDS]
        for node_id, node_type in old:
            del self._joined_lately[node_id]
            if node_id in snapshot.nodes:
                self._backoff.lasted(node_type)


def _is_worker(task: TaskView) -> bool:
    return bool(task.tags.get(TAG_RAY_NODE_KIND) == NODE_KIND_WORKER)
