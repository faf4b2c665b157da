"""Announces the end of a cluster's lifetime in the log and drains the workers before it. Runs on the head only.

The platform itself enforces the end: no task has a timeout beyond the cluster's deadline.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.snapshot import Phase, Snapshot
from yellowdog_ray.monitor.gcs import RayNodes

logger = logging.getLogger(__name__)

ANNOUNCED = tuple(timedelta(minutes=minutes) for minutes in (60, 30, 10, 5, 1))
"""How long before the end a warning is logged."""

DRAIN = timedelta(minutes=1)
"""How long before the end the workers are drained."""


class Lifetime:
    """Watches the cluster's deadline.

    Args:
        cluster: the cluster.
        ray_nodes: the nodes in Ray's control store.
        clock: time.
    """

    def __init__(self, cluster: Cluster, ray_nodes: RayNodes, clock: Clock) -> None:
        self._cluster = cluster
        self._ray_nodes = ray_nodes
        self._clock = clock
        self._announced: timedelta | None = None
        self._drained: set[str] = set()

    def tick(self, snapshot: Snapshot) -> None:
        """Log a warning as the end approaches, and drain the workers in its last minute."""
        deadline = self._cluster.deadline()
        if deadline is None:
            return
        left = deadline - self._clock.now()
        reached = min((mark for mark in ANNOUNCED if left <= mark), default=None)
        if reached is not None and reached != self._announced:
            self._announced = reached
            logger.warning(
                "the cluster's lifetime ends in %d min, at %s UTC: all nodes stop then. A longer one is set with "
                "provider.cluster_lifetime_hours before `ray up`",
                max(0, round(left.total_seconds() / 60)),
                f"{deadline:%H:%M:%S}",
            )
        if left > DRAIN:
            return
        for node in snapshot.nodes.values():
            if node.is_head or node.phase is not Phase.RUNNING or node.id in self._drained:
                continue
            if self._ray_nodes.drain(node.id, deadline, "the cluster's lifetime is over"):
                self._drained.add(node.id)
