"""What the head's autoscaler sees to at every tick besides listing. It never fails a tick."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.launch import Growth
from yellowdog_ray.cluster.snapshot import ClusterNode, Snapshot
from yellowdog_ray.errors import RayDogError, Unavailable
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.monitor.lifetime import Lifetime
from yellowdog_ray.monitor.liveness import Builds
from yellowdog_ray.monitor.preemption import Preemption
from yellowdog_ray.monitor.resources import DeclaredResources
from yellowdog_ray.monitor.updater_steps import Setups

logger = logging.getLogger(__name__)


class Supervisor:
    """Workers that do not come up, spot notices, the cluster's deadline, declared resources that are not there.

    Args:
        cluster: the cluster.
        growth: how it gets workers.
        ray_nodes: what Ray knows of the nodes.
        setups: what Ray's updaters do to the workers.
        v2: whether Ray's new autoscaler decides.
    """

    def __init__(self, cluster: Cluster, growth: Growth, ray_nodes: RayNodes, setups: Setups, *, v2: bool) -> None:
        self._builds = Builds(cluster, growth, ray_nodes, setups, ids_needed=v2)
        self._duties: tuple[Callable[[Snapshot], None], ...] = (
            self._builds.tick,
            Preemption(cluster, growth, ray_nodes, drained_count=not v2).tick,
            Lifetime(cluster, ray_nodes).tick,
            DeclaredResources(cluster).tick,
        )

    @property
    def settled(self) -> bool:
        """Whether no node is awaited."""
        return self._builds.settled

    def tick(self, snapshot: Snapshot) -> None:
        """See to everything once, with a fresh listing at hand."""
        for duty in self._duties:
            if not _done(duty, snapshot):
                return  # a platform that does not answer would keep the loop waiting once more for each duty

    def set_up_failed(self, nodes: Iterable[ClusterNode]) -> None:
        """Ray has given up workers, and is about to end them, since its updater could not set them up."""
        self._builds.set_up_failed(nodes)


def _done(duty: Callable[[Snapshot], None], snapshot: Snapshot) -> bool:
    try:
        duty(snapshot)
    except RayDogError as error:
        logger.warning("will be tried again at the next tick: %s", error)
        return not isinstance(error, Unavailable)
    return True
