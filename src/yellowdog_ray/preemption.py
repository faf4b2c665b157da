"""Nodes whose instance is about to be taken away: drained by Ray in time, their replacement asked for at once.

Runs on the head only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from yellowdog_ray.cluster import Cluster
from yellowdog_ray.growth import Growth
from yellowdog_ray.ray_nodes import RayNodes
from yellowdog_ray.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.views import PlatformNodeView

logger = logging.getLogger(__name__)

NOTICE = {
    "AWS": timedelta(seconds=120),
    "OCI": timedelta(seconds=120),
    "AZURE": timedelta(seconds=30),
    "GOOGLE": timedelta(seconds=30),
}
"""How long before the loss each provider warns, by its public documentation; YellowDog says only when it was warned."""

DEFAULT_NOTICE = timedelta(seconds=120)


class Preemption:
    """Acts once on each spot notice: one platform call per tick while workers run."""

    def __init__(self, cluster: Cluster, growth: Growth, ray_nodes: RayNodes, max_workers: Mapping[str, int]) -> None:
        self._cluster = cluster
        self._growth = growth
        self._ray_nodes = ray_nodes
        self._max_workers = max_workers
        self._drained: set[str] = set()
        self._settled: set[str] = set()

    def tick(self, snapshot: Snapshot) -> None:
        """Look for notices about the nodes of a fresh listing.

        Raises:
            RayDogError: the platform could not be asked, or did not make a replacement; the next tick tries again.
        """
        self._drained &= snapshot.nodes.keys()
        self._settled &= snapshot.nodes.keys()
        running = {node.platform_node_id: node for node in snapshot.nodes.values() if node.phase is Phase.RUNNING}
        if all(node.is_head for node in running.values()):
            return
        for warned in self._cluster.platform.warned_nodes():
            node = running.get(warned.id)
            if node is not None and node.id not in self._settled:
                self._prepare(node, warned)

    def _prepare(self, node: ClusterNode, warned: PlatformNodeView) -> None:
        ends = (warned.warned or self._cluster.clock.now()) + NOTICE.get(warned.provider or "", DEFAULT_NOTICE)
        if node.is_head:
            logger.error(
                "the head's own instance (%s) is about to be taken away, at %s: the cluster ends with it. Use a "
                "template without spot instances for the head",
                warned.instance_id,
                _time(ends),
            )
            self._settled.add(node.id)
            return
        if node.id not in self._drained:
            self._drain(node, ends)
        if self._may_be_replaced(node):
            replacement = self._growth.replace(node)
            logger.warning("node %s is asked for in place of %s", replacement, node.id)
        self._settled.add(node.id)

    def _drain(self, node: ClusterNode, ends: datetime) -> None:
        logger.warning("node %s gets a spot notice: its instance is expected to be lost at %s", node.id, _time(ends))
        self._ray_nodes.refresh()
        if not self._ray_nodes.drain(node.id, ends, "the instance is about to be taken away (spot notice)"):
            logger.warning("Ray has not agreed to drain node %s, which goes on until it is lost", node.id)
        self._drained.add(node.id)

    def _may_be_replaced(self, node: ClusterNode) -> bool:
        """Whether the node has work, and its type has room for one more."""
        busy = self._ray_nodes.busy()
        if busy is not None and node.id not in busy:
            return False
        alive = sum(other.node_type == node.node_type for other in self._cluster.snapshot.nodes.values())
        return alive - len(self._drained) < self._max_workers.get(node.node_type, alive)


def _time(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"
