"""Resources that a node type declares and its machines turn out not to have: one warning per node type."""

from __future__ import annotations

import logging

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.resources import excess
from yellowdog_ray.cluster.snapshot import ClusterNode, Snapshot
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.platform.types import MachineSize

logger = logging.getLogger(__name__)


class DeclaredResources:
    """On the head: tells, once for each node type, of resources that its machines turn out not to have."""

    def __init__(self, cluster: Cluster, settings: LiveSettings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._judged: set[str] = set()
        self._told: set[str] = set()
        self._snapshot = Snapshot()

    def tick(self, snapshot: Snapshot) -> None:
        """Look at the nodes whose machines have become known."""
        if snapshot is self._snapshot:
            return
        self._snapshot = snapshot
        self._judged &= snapshot.nodes.keys()
        for node in snapshot.nodes.values():
            if node.id in self._judged or node.platform_node_id is None:
                continue
            size = self._cluster.machine_size(node.platform_node_id)
            if size is not None:
                self._judged.add(node.id)
                self._judge(node, size)

    def _judge(self, node: ClusterNode, size: MachineSize) -> None:
        kind = self._settings.current.internal.node_types.get(node.node_type)
        lacking = excess(kind.resources, size) if kind else []
        if lacking and node.node_type not in self._told:
            self._told.add(node.node_type)
            logger.warning(
                "node %s: its type '%s' declares %s: Ray will overload such a node. Correct "
                "available_node_types.%s.resources",
                node.id,
                node.node_type,
                ", ".join(lacking),
                node.node_type,
            )
