"""The parts of a head's publisher, and the choice of Ray's requests that it publishes. Makes no call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.journal import Act, Note
from yellowdog_ray.cluster.snapshot import Phase
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.monitor.head_state import HeadStates
from yellowdog_ray.monitor.publisher import Publisher

if TYPE_CHECKING:
    from yellowdog_ray.cluster.journal import Journal
    from yellowdog_ray.cluster.launch import Launcher
    from yellowdog_ray.config.live import LiveSettings
    from yellowdog_ray.monitor.reload import HeadFile
    from yellowdog_ray.platform.client import Platform


class Parts(Protocol):
    """The parts of a head that publishing needs."""

    @property
    def platform(self) -> Platform:
        """The platform."""

    @property
    def cluster(self) -> Cluster:
        """The cluster."""

    @property
    def settings(self) -> LiveSettings:
        """The settings in force."""

    @property
    def launcher(self) -> Launcher:
        """Launches workers."""

    @property
    def head_file(self) -> HeadFile:
        """The configuration on the head."""

    @property
    def journal(self) -> Journal:
        """The decisions."""


def make_publisher(side: Parts, *, v2: bool) -> Publisher:
    """The publisher of a head. `v2`: whether Ray's new autoscaler decides."""
    platform, cluster, settings = side.platform, side.cluster, side.settings
    states = HeadStates(
        cluster.name,
        settings,
        lambda: side.head_file.ray_limits,
        side.launcher.backoff,
        RayNodes(),  # a client of its own for Ray's control store: requests run in the publisher's thread
        platform.clock,
        v2=v2,
    )
    return Publisher(
        platform,
        cluster,
        side.journal,
        states.compose,
        platform.clock.monotonic,
        lambda: settings.current.publish_events,
    )


def note_terminations(note: Note, cluster: Cluster, node_ids: Iterable[str]) -> None:
    """Note the nodes whose termination Ray's autoscaler requests, before they leave the snapshot."""
    known = cluster.snapshot.nodes
    by_kind: dict[tuple[Act, str], list[str]] = {}
    for node in (known[node_id] for node_id in node_ids if node_id in known):
        act = Act.TERMINATED if node.phase is Phase.RUNNING else Act.WITHDRAWN
        by_kind.setdefault((act, node.node_type), []).append(node.id)
    for (act, node_type), ids in by_kind.items():
        note(act, "requested by Ray's autoscaler", node_type=node_type, node_ids=ids)
