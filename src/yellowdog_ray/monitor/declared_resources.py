"""One warning per node type that declares more resources than its machines have."""

from __future__ import annotations

import logging

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.resources import excess
from yellowdog_ray.cluster.snapshot import ClusterNode, Snapshot
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.platform.types import MachineSize

logger = logging.getLogger(__name__)


class DeclaredResources:
    """Compares declared resources with the machines of a cluster as their sizes become known.

    Args:
        cluster: the cluster.
        settings: the settings in force.
    """

    def __init__(self, cluster: Cluster, settings: LiveSettings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._checked: set[str] = set()
        self._warned: set[str] = set()
        self._snapshot = Snapshot()

    def tick(self, snapshot: Snapshot) -> None:
        """Check the nodes whose machine's size is new."""
        if snapshot is self._snapshot:
            return
        self._snapshot = snapshot
        self._checked &= snapshot.nodes.keys()
        for node in snapshot.nodes.values():
            if node.id in self._checked or node.platform_node_id is None:
                continue
            size = self._cluster.machine_size(node.platform_node_id)
            if size is not None:
                self._checked.add(node.id)
                self._check(node, size)

    def _check(self, node: ClusterNode, size: MachineSize) -> None:
        node_type = self._settings.current.internal.node_types.get(node.node_type)
        lacking = excess(node_type.resources, size) if node_type else []
        if lacking and node.node_type not in self._warned:
            self._warned.add(node.node_type)
            logger.warning(
                "node %s: its type '%s' declares %s: Ray will overload such a node. Correct "
                "available_node_types.%s.resources",
                node.id,
                node.node_type,
                "; ".join(lacking),
                node.node_type,
            )
