"""The addresses that the platform lists for nodes, read again for a node that has just started."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.snapshot import ClusterNode
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.platform.client import Platform

READS_PER_SECOND = 5
"""Nodes that are read between two listings, each with two calls. With more, the next listing shows all of them."""


class NodeAddresses:
    """Finds the addresses of nodes. Thread-safe.

    Args:
        cluster: the cluster.
        platform: the platform.
        monotonic: seconds that never go back.
    """

    def __init__(self, cluster: Cluster, platform: Platform, monotonic: Callable[[], float]) -> None:
        self._cluster = cluster
        self._platform = platform
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._reads: deque[float] = deque(maxlen=READS_PER_SECOND)

    def of(self, node_id: str) -> frozenset[str]:
        """The addresses of a node; none while they are unknown. At most two calls."""
        node = self._cluster.snapshot.nodes.get(node_id)
        if node is None:
            return frozenset()
        listed = _present(node.private_ip, node.public_ip)
        return listed or (self._read(node) if self._may_read() else frozenset())

    def _may_read(self) -> bool:
        now = self._monotonic()
        with self._lock:
            if len(self._reads) == READS_PER_SECOND and now - self._reads[0] < 1:
                return False
            self._reads.append(now)
            return True

    def _read(self, node: ClusterNode) -> frozenset[str]:
        with contextlib.suppress(PlatformError):
            platform_node_id = node.platform_node_id or self._platform.task(node.task_id).platform_node_id
            if platform_node_id is not None:
                found = self._platform.platform_node(platform_node_id)
                return _present(found.private_ip, found.public_ip)
        return frozenset()


def _present(*addresses: str | None) -> frozenset[str]:
    return frozenset(address for address in addresses if address is not None)
