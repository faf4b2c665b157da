"""What the head's autoscaler sees to at every tick besides listing. It never fails a tick."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.launch import Launcher
from yellowdog_ray.cluster.snapshot import ClusterNode, Snapshot
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.errors import RayDogError, Unavailable
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.monitor.lifetime import Lifetime
from yellowdog_ray.monitor.liveness import Builds
from yellowdog_ray.monitor.outage import Mistakes
from yellowdog_ray.monitor.preemption import Preemption
from yellowdog_ray.monitor.resources import DeclaredResources
from yellowdog_ray.monitor.updater_steps import Setups
from yellowdog_ray.platform.client import Platform

logger = logging.getLogger(__name__)


class Supervisor:
    """Workers that do not come up, spot notices, the cluster's deadline, declared resources that are not there.

    Args:
        platform: the platform.
        cluster: the cluster.
        launcher: launches workers.
        settings: the settings in force.
        ray_nodes: what Ray knows of the nodes.
        setups: what Ray's updaters do to the workers.
        clock: time.
        v2: whether Ray's new autoscaler decides.
    """

    def __init__(
        self,
        platform: Platform,
        cluster: Cluster,
        launcher: Launcher,
        settings: LiveSettings,
        ray_nodes: RayNodes,
        setups: Setups,
        clock: Clock,
        *,
        v2: bool,
    ) -> None:
        self._builds = Builds(platform, cluster, launcher, settings, ray_nodes, setups, clock, ids_needed=v2)
        preemption = Preemption(platform, cluster, launcher, settings, ray_nodes, clock, drained_count=not v2)
        self._mistakes = Mistakes()
        self._duties: tuple[Callable[[Snapshot], None], ...] = (
            self._builds.tick,
            preemption.tick,
            Lifetime(cluster, ray_nodes, clock).tick,
            DeclaredResources(cluster, settings).tick,
        )

    @property
    def stable(self) -> bool:
        """Whether all nodes have joined."""
        return self._builds.stable

    def tick(self, snapshot: Snapshot) -> None:
        """See to everything once, with a fresh listing at hand."""
        for duty in self._duties:
            if not self._done(duty, snapshot):
                return  # a platform that does not answer would keep the loop waiting once more for each duty

    def set_up_failed(self, nodes: Iterable[ClusterNode]) -> None:
        """Ray has given up workers, and is about to end them, since its updater could not set them up."""
        self._builds.set_up_failed(nodes)

    def _done(self, duty: Callable[[Snapshot], None], snapshot: Snapshot) -> bool:
        """Run one duty. Returns whether the others can follow."""
        try:
            duty(snapshot)
        except RayDogError as error:
            logger.warning("will be retried at the next tick: %s", error)
            return not isinstance(error, Unavailable)
        except Exception as error:  # noqa: BLE001 - a mistake in one duty must not stop the loop, or the other duties
            self._mistakes.report(error)
        return True
