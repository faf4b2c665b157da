"""Terminates the instances of lost platform nodes where the platform itself does not. Runs on the head only.

YellowDog does not document whether the instance of a platform node whose agent was lost is terminated. If not, it runs
and is paid for until its pool ends. The platform is searched only after a worker has left the listing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import PoolView, TaskGroupView

logger = logging.getLogger(__name__)

LATER_SECONDS = 1.0
"""Minimum time from a worker's departure to a search, so that the tick that replaces the worker has a call less."""

SOON_SECONDS = 10.0
"""Minimum time between two searches while workers leave the listing."""

AGAIN_SECONDS = 30.0
"""Time between two searches after that: a platform node without a task may be lost too, and is lost later."""

WATCH_SECONDS = 300.0
"""How long a task group is watched after one of its workers has left the listing. A platform node is lost after some
missed heartbeats, and one without a task is shut down after `IDLE_NODE_TIMEOUT`."""

POOLS_PER_TICK = 2
"""Maximum pools searched per tick, so that no tick makes many calls in a cluster of many node types."""


class LostMachines:
    """Watches the worker pools whose workers have left the listing.

    Args:
        platform: the platform.
        cluster: the cluster.
        monotonic: seconds that never go back.
    """

    def __init__(self, platform: Platform, cluster: Cluster, monotonic: Callable[[], float]) -> None:
        self._platform = platform
        self._cluster = cluster
        self._monotonic = monotonic
        self._snapshot: Snapshot | None = None
        self._left_at: dict[str, float] = {}
        self._searched_at = float("-inf")
        self._unsearched_since: float | None = None
        self._queue: deque[TaskGroupView] = deque()
        self._pools: dict[str, PoolView] = {}
        self._handled: set[str] = set()

    def tick(self, snapshot: Snapshot) -> None:
        """Search some watched pools for lost platform nodes if a search is due: one or two calls per pool.

        Raises:
            PlatformError: a call failed; a later tick retries, after the other pools.
        """
        now = self._monotonic()
        self._note_departures(snapshot, now)
        if self._left_at and now >= self._due:
            queued = {group.id for group in self._queue}
            self._queue.extend(group for group in self._watched() if group.id not in queued)
            self._searched_at, self._unsearched_since = now, None
            self._left_at = {group: left for group, left in self._left_at.items() if now - left < WATCH_SECONDS}
        for _ in range(min(POOLS_PER_TICK, len(self._queue))):
            self._queue.rotate(-1)  # a pool whose search fails is the last one now
            self._terminate_lost(self._queue[-1])
            self._queue.pop()

    def _note_departures(self, snapshot: Snapshot, now: float) -> None:
        before, self._snapshot = self._snapshot, snapshot
        if before is snapshot:
            return
        if before is None:  # workers may have left under an earlier autoscaler
            left: Iterable[str] = (group.id for group in self._cluster.groups if group.name != HEAD_GROUP)
        else:
            gone = before.nodes.keys() - snapshot.nodes.keys()
            left = (before.nodes[node_id].group_id for node_id in gone if not before.nodes[node_id].is_head)
        new = dict.fromkeys(left, now)
        self._left_at |= new
        if new and self._unsearched_since is None:
            self._unsearched_since = now

    @property
    def _due(self) -> float:
        if self._unsearched_since is None:
            return self._searched_at + AGAIN_SECONDS
        return max(self._searched_at + SOON_SECONDS, self._unsearched_since + LATER_SECONDS)

    def _watched(self) -> list[TaskGroupView]:
        groups = [self._cluster.group(group_id) for group_id in self._left_at]
        return [group for group in groups if group is not None and not group.configured]

    def _terminate_lost(self, group: TaskGroupView) -> None:
        pool = self._pools.get(group.id) or self._platform.find_pool(group.worker_tag)
        if pool is None or pool.compute_requirement_id is None:
            return
        self._pools[group.id] = pool
        lost = {node.id: node.instance_id for node in self._platform.lost_nodes(pool.id)}
        new = {node_id: instance_id for node_id, instance_id in lost.items() if node_id not in self._handled}
        if not new:
            return
        for instance_id in self._platform.terminate_instances(pool.compute_requirement_id, set(new.values())):
            logger.warning("instance %s is terminated: its platform node was lost", instance_id)
        self._handled |= new.keys()
