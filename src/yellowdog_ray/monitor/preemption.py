"""Acts on spot notices: Ray drains the node in time, and its replacement is launched at once.

Runs on the head only.
"""

from __future__ import annotations

import logging
from datetime import datetime

from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.launch import Launcher
from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.monitor.polling import PollingSchedule
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import PlatformNodeView

logger = logging.getLogger(__name__)


class Preemption:
    """Acts once on each spot notice: one platform call per reading while workers run.

    Args:
        platform: the platform.
        cluster: the cluster.
        launcher: launches workers.
        settings: the settings in force.
        ray_nodes: the nodes in Ray's control store.
        clock: time.
        schedule: when a reading of the notices is due.
        drained_count: whether Ray's autoscaler counts drained nodes towards `max_workers` (v1 does). It terminates
            nodes above that number at once.
    """

    def __init__(
        self,
        platform: Platform,
        cluster: Cluster,
        launcher: Launcher,
        settings: LiveSettings,
        ray_nodes: RayNodes,
        clock: Clock,
        schedule: PollingSchedule,
        *,
        drained_count: bool,
    ) -> None:
        self._platform = platform
        self._cluster = cluster
        self._launcher = launcher
        self._settings = settings
        self._ray_nodes = ray_nodes
        self._clock = clock
        self._schedule = schedule
        self._drained_count = drained_count
        self._drained: set[str] = set()
        self._seen_drained: set[str] = set()
        self._handled: set[str] = set()

    def tick(self, snapshot: Snapshot) -> None:
        """Act on notices about the nodes of a fresh listing.

        Raises:
            RayDogError: the platform could not be read, or launched no replacement; the next tick retries.
        """
        self._drained &= snapshot.nodes.keys()
        # Ray's autoscaler reads the nodes' states before it lists them: a drain of this tick is not in them.
        self._seen_drained = set() if self._drained_count else set(self._drained)
        self._handled &= snapshot.nodes.keys()
        if not self._schedule.are_spot_notices_due():
            return
        workers = (node for node in snapshot.nodes.values() if not node.is_head)
        if any(node.phase is Phase.RUNNING for node in workers):
            self._act(snapshot)
        else:
            self._schedule.spot_notices_read()

    def _act(self, snapshot: Snapshot) -> None:
        noticed = self._platform.nodes_with_spot_notice()
        self._schedule.spot_notices_read()
        if not noticed:
            return
        running = {node.platform_node_id: node for node in snapshot.nodes.values() if node.phase is Phase.RUNNING}
        for platform_node in noticed:
            node = running.get(platform_node.id)
            if node is not None and node.id not in self._handled:
                self._prepare(node, platform_node)

    def _prepare(self, node: ClusterNode, platform_node: PlatformNodeView) -> None:
        ends = (platform_node.spot_notice or self._clock.now()) + platform_node.notice_period
        if node.is_head:
            logger.error(
                "the head's own instance (%s) will be lost at %s (spot notice): the cluster ends with it. Use a "
                "template without spot instances for the head",
                platform_node.instance_id,
                _time(ends),
            )
            self._handled.add(node.id)
            return
        if node.id not in self._drained:
            self._drain(node, ends)
        if self._is_idle(node):
            self._handled.add(node.id)
        elif self._has_room(node.node_type):
            self._replace(node)
            self._handled.add(node.id)

    def _replace(self, node: ClusterNode) -> None:
        replacement = self._launcher.replace(node)
        if replacement is None:
            logger.warning(
                "no node is launched in place of %s: its worker pool has ended, and Ray requests one for its work",
                node.id,
            )
        else:
            logger.warning("node %s is launched in place of %s", replacement, node.id)

    def _drain(self, node: ClusterNode, ends: datetime) -> None:
        logger.warning("node %s gets a spot notice: its instance is expected to be lost at %s", node.id, _time(ends))
        self._ray_nodes.refresh()
        if not self._ray_nodes.drain(node.id, ends, "the instance is about to be taken away (spot notice)"):
            logger.warning("Ray refused to drain node %s, which runs until it is lost", node.id)
        self._drained.add(node.id)

    def _is_idle(self, node: ClusterNode) -> bool:
        busy = self._ray_nodes.busy()
        return busy is not None and node.id not in busy

    def _has_room(self, node_type: str) -> bool:
        """Whether Ray's limits allow one more worker of a type."""
        nodes = self._cluster.snapshot.nodes.values()
        workers = [node.node_type for node in nodes if not node.is_head and node.id not in self._seen_drained]
        internal = self._settings.current.internal
        kind = internal.node_types.get(node_type)
        return _below(len(workers), internal.max_workers) and _below(
            workers.count(node_type), kind.max_workers if kind else None
        )


def _below(count: int, limit: int | None) -> bool:
    return limit is None or count < limit


def _time(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"
