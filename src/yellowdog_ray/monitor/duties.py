"""Makes the duties of the head's side: what it does at every tick, and the kit for its carriers. No call."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.published import IDLE_NOTICE
from yellowdog_ray.monitor import logins
from yellowdog_ray.monitor.declared_resources import DeclaredResources
from yellowdog_ray.monitor.head_machine import HeadMachine
from yellowdog_ray.monitor.head_processes import HeadProcesses
from yellowdog_ray.monitor.idle_end import BEGUN_FILE, Begun, IdleEnd
from yellowdog_ray.monitor.idleness import Idleness
from yellowdog_ray.monitor.kit import KitMaker, room_for_jobs
from yellowdog_ray.monitor.lifetime import Lifetime
from yellowdog_ray.monitor.lost_machines import LostMachines
from yellowdog_ray.monitor.preemption import Preemption
from yellowdog_ray.monitor.publishing import Parts
from yellowdog_ray.monitor.replaced_head import ReplacedHead
from yellowdog_ray.monitor.restartable_jobs import RestartableJobs
from yellowdog_ray.monitor.resubmission import Resubmission
from yellowdog_ray.monitor.supervisor import Supervisor
from yellowdog_ray.node.kit import HEAD_JOBS, Manifest
from yellowdog_ray.node.variables import CLOUD_INSTANCE_ID

if TYPE_CHECKING:
    from yellowdog_ray.monitor.admission import Admission
    from yellowdog_ray.monitor.gcs import RayNodes
    from yellowdog_ray.monitor.liveness import Builds
    from yellowdog_ray.monitor.polling import PollingSchedule
    from yellowdog_ray.monitor.publisher import Publisher
    from yellowdog_ray.remote.tags import TagStore


class DutiesParts(Parts, Protocol):
    """The parts of a head that its duties need."""

    ray_nodes: RayNodes
    requirement_id: str | None

    @property
    def admission(self) -> Admission:
        """The admission of workers."""

    @property
    def builds(self) -> Builds:
        """The workers between launch and joining."""

    @property
    def idle_end(self) -> IdleEnd:
        """Ends the cluster when it is idle."""

    @property
    def idleness(self) -> Idleness:
        """For how long the cluster has been idle."""

    @property
    def place(self) -> ReplacedHead:
        """The place of this head among the heads of its cluster."""

    @property
    def publisher(self) -> Publisher:
        """Publishes the head's state."""

    @property
    def schedule(self) -> PollingSchedule:
        """When the platform is polled."""

    @property
    def tag_store(self) -> TagStore:
        """The tags of nodes."""

    def watch_use(self) -> None:
        """Read whether the cluster is in use."""


def make_supervisor(side: DutiesParts, clock: Clock, *, v2: bool, admits: bool, replaces: bool) -> Supervisor:
    """The duties of every tick besides listing.

    Args:
        side: the head's side.
        clock: this machine's time.
        v2: whether Ray's new autoscaler decides.
        admits: whether workers need the cluster's token.
        replaces: whether this head has replaced another.
    """
    platform, cluster = side.platform, side.cluster
    preemption = Preemption(
        platform,
        cluster,
        side.launcher,
        side.settings,
        side.ray_nodes,
        platform.clock,
        side.schedule,
        drained_count=not v2,
    )
    lost = LostMachines(platform, cluster, clock.monotonic)
    lifetime = Lifetime(cluster, side.ray_nodes, platform.clock)
    declared = DeclaredResources(cluster, side.settings)
    processes = HeadProcesses(clock.now().timestamp(), note=side.journal.note)
    admission = [side.admission.tick] if admits else []
    machine = HeadMachine(clock.monotonic, note=side.journal.note)
    last = [lifetime.tick, declared.tick, processes.tick, machine.tick, side.idle_end.tick, side.publisher.tick]
    resubmission = [Resubmission(Path.home(), clock).tick] if replaces else []
    duties = [*admission, side.builds.tick, preemption.tick, lost.tick, *last, *resubmission]
    return Supervisor(duties, side.watch_use)


def make_idleness(side: DutiesParts, clock: Clock) -> Idleness:
    """For how long the cluster has been idle, by this machine's time."""
    return Idleness(
        lambda: side.settings.current.idle_termination_minutes,
        side.ray_nodes.use,
        logins.count_sessions,
        clock.monotonic,
        lambda: side.platform.clock.now(),
        lambda text, at: side.publisher.announce(IDLE_NOTICE, text, at),
    )


def make_idle_end(side: DutiesParts) -> IdleEnd:
    """Ends the cluster when it is idle."""
    begun = Begun(Path(BEGUN_FILE).expanduser(), os.environ.get(CLOUD_INSTANCE_ID, ""))
    return IdleEnd(side.platform, side.cluster, side.launcher, side.idleness, begun)


def make_place(side: DutiesParts, *, is_replacement: bool) -> ReplacedHead:
    """The place of this head among the heads of its cluster. `is_replacement`: whether a carrier has started it."""
    head_id = os.environ.get(CLOUD_INSTANCE_ID, "")
    return ReplacedHead(head_id, side.launcher, side.tag_store, is_replacement=is_replacement)


def make_kit_maker(side: DutiesParts, clock: Clock) -> KitMaker:
    """Makes the kit with which a worker can replace this head."""
    jobs = RestartableJobs(clock.monotonic, waiting=Path.home() / HEAD_JOBS, room=room_for_jobs)

    def manifest() -> Manifest | None:
        # Not the snapshot's head: a list that lags may still show the head that this one has replaced.
        head = side.cluster.snapshot.nodes.get(side.place.head_id)
        settings, work_id = side.settings.current, side.requirement_id
        if side.place.is_fenced or head is None or work_id is None or settings.auth is None:
            return None
        build_timeout = timedelta(minutes=settings.head_node_build_timeout_minutes)
        return Manifest(settings.cluster_namespace, work_id, head.task_id, settings.auth.ssh_user, build_timeout)

    return KitMaker(manifest, lambda: side.platform.clock.now().timestamp(), jobs.document)
