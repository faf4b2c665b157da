"""Composes the state that the head publishes: limits in force, Ray's demand, back-offs. One request to Ray."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from yellowdog_ray import names
from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.cluster.published import VERSION, BackOffState, HeadState, NodeTypeState, Notice
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.monitor.ray_load import RayLoad, Usage, summarise
from yellowdog_ray.monitor.reload import RayLimits
from yellowdog_ray.redaction import redact

MAX_REASON = 1_000
"""Characters of a back-off's reason at most."""


class HeadStates:
    """Composes the states of one cluster.

    Args:
        cluster_name: the cluster.
        settings: the settings in force.
        ray_limits: returns the limits of the configuration on the head.
        backoff: the node types in back-off.
        ray_nodes: Ray's control store; one for this object's thread.
        clock: the platform's time.
        v2: whether Ray's new autoscaler decides.
    """

    def __init__(
        self,
        cluster_name: str,
        settings: LiveSettings,
        ray_limits: Callable[[], RayLimits],
        backoff: BackOff,
        ray_nodes: RayNodes,
        clock: Clock,
        *,
        v2: bool,
    ) -> None:
        self._cluster_name = cluster_name
        self._settings = settings
        self._ray_limits = ray_limits
        self._backoff = backoff
        self._ray_nodes = ray_nodes
        self._clock = clock
        self._v2 = v2
        self._started: datetime | None = None

    def compose(self, token: str, notices: list[Notice]) -> HeadState:
        """The present state. Ray's part is left out if its control store does not answer."""
        state = self._ray_nodes.state()
        load = summarise(state) if state is not None else None
        now = self._clock.now()
        self._started = self._started or now
        return HeadState(
            version=VERSION,
            cluster=self._cluster_name,
            head=names.head_id(token),
            at=now,
            started=self._started,
            autoscaler="v2" if self._v2 else "v1",
            max_workers=self._settings.current.internal.max_workers,
            idle_timeout_minutes=self._ray_limits().idle_timeout_minutes,
            node_types=self._node_types(load),
            demand=list(load.demand) if load else None,
            gangs=load.gangs if load else 0,
            requested=list(load.requested) if load else [],
            back_offs=self._back_offs(now),
            notices=notices,
        )

    def _node_types(self, load: RayLoad | None) -> dict[str, NodeTypeState]:
        limits = self._ray_limits()
        types = {}
        # A script may start Ray without the task's environment, as in a container: then its node's type is unknown.
        is_known = load is not None and "" not in load.usage
        for name, kind in self._settings.current.internal.node_types.items():
            usage = load.usage.get(name, Usage(0, 0, 0.0)) if load and is_known else None
            types[name] = NodeTypeState(
                max_workers=kind.max_workers,
                min_workers=max(0, limits.min_workers.get(name, 0)),
                resources=dict(kind.resources),
                labels=limits.labels.get(name),
                alive=usage.alive if usage else None,
                idle=usage.idle if usage else None,
                longest_idle_seconds=round(usage.longest_idle_seconds, 1) if usage else None,
            )
        return types

    def _back_offs(self, now: datetime) -> list[BackOffState]:
        return [
            BackOffState(
                node_type=each.node_type,
                code=each.reason.code,
                reason=redact(str(each.reason))[:MAX_REASON],
                failures=each.failures,
                until=now + timedelta(seconds=round(each.left)),
            )
            for each in self._backoff.failing()
        ]
