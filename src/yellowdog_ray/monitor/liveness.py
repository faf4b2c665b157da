"""Detects workers that do not come up, sets the category of the failure, and terminates them.

Their node type then backs off (cluster/backoff.py). Runs on the head only, and concerns only workers that this
cluster's autoscaler has launched.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.launch import Launcher
from yellowdog_ray.cluster.pools import supply
from yellowdog_ray.cluster.shortage import shortage
from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.errors import (
    NeverAllocated,
    NeverJoined,
    NodeBuildError,
    ProvisioningFailed,
    SetupFailed,
)
from yellowdog_ray.monitor.early_ends import EarlyEnds
from yellowdog_ray.monitor.failures import record_failure
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.monitor.updater_steps import MONITOR_OUTPUT, Setups
from yellowdog_ray.node.variables import CLOUD_INSTANCE_ID
from yellowdog_ray.platform.client import Platform

logger = logging.getLogger(__name__)

POOL_POLL_SECONDS = 15.0
"""How long a worker waits for a platform node before its pool is read, and how often the pool is read then."""

SHORTAGE_TIMEOUT_SECONDS = 60.0
"""How long sources may report errors before the workers without an instance are withdrawn. The platform itself retries
meanwhile, and a short shortage passes."""


class Builds:
    """Watches the workers between launch and joining.

    Times count from the first listing of a node by this process: a restarted autoscaler never times a node out early.

    Args:
        platform: the platform.
        cluster: the cluster.
        launcher: launches workers.
        settings: the settings in force.
        ray_nodes: the nodes in Ray's control store.
        setups: the progress of Ray's updaters.
        early_ends: judges the workers whose tasks end.
        clock: time.
        ids_needed: whether Ray's autoscaler identifies nodes by their ids alone (v2 does).
    """

    def __init__(
        self,
        platform: Platform,
        cluster: Cluster,
        launcher: Launcher,
        settings: LiveSettings,
        ray_nodes: RayNodes,
        setups: Setups,
        early_ends: EarlyEnds,
        clock: Clock,
        *,
        ids_needed: bool,
    ) -> None:
        self._platform = platform
        self._cluster = cluster
        self._launcher = launcher
        self._settings = settings
        self._ray_nodes = ray_nodes
        self._setups = setups
        self._early_ends = early_ends
        self._ids_needed = ids_needed
        self._monotonic = clock.monotonic
        self._since: dict[tuple[str, Phase], float] = {}
        self._up: set[str] = set()
        self._snapshot = Snapshot()
        self._building: list[ClusterNode] = []
        self._read_at: dict[str, float] = {}
        self._short_since: dict[str, float] = {}
        self._supplied: dict[str, str] = {}

    @property
    def stable(self) -> bool:
        """Whether all nodes have joined."""
        return not self._building

    def tick(self, snapshot: Snapshot) -> None:
        """Check the workers of a fresh listing, and how the head has joined.

        Raises:
            PlatformError: a pool could not be read.
        """
        self._early_ends.tick(snapshot)
        not_up = self._not_up(snapshot)
        building = [node for node in not_up if not node.is_head]
        now = self._monotonic()
        self._since = {(node.id, node.phase): self._since.get((node.id, node.phase), now) for node in building}
        started = [node for node in not_up if node.phase is Phase.RUNNING]
        waiting = [node for node in building if node.platform_node_id is None and node.phase is Phase.PENDING]
        if started and self._ray_nodes.refresh():
            self._check_joined(started)
        self._terminate_overdue(
            [node for node in building if node.phase is Phase.PENDING],
            NeverAllocated,
            self._why_not_allocated,
        )
        self._check_pools([node for node in waiting if node.id in self._cluster.snapshot.nodes])

    def _not_up(self, snapshot: Snapshot) -> list[ClusterNode]:
        """The nodes that have not joined yet; all are compared only if the snapshot is another one."""
        nodes: Iterable[ClusterNode] = self._building
        if snapshot is not self._snapshot:
            self._snapshot, nodes = snapshot, snapshot.nodes.values()
            self._up &= snapshot.nodes.keys()
            self._setups.keep(snapshot.nodes.keys())
        self._building = [node for node in nodes if node.id not in self._up]
        return self._building

    def _check_joined(self, started: Iterable[ClusterNode]) -> None:
        joined, missing = [], []
        nameless = defaultdict(list)
        for node in started:
            if self._ray_nodes.joined(node.id, node.private_ip):
                self._up.add(node.id)
                joined.append(node)
                if self._ids_needed and self._ray_nodes.lacks_id(node.private_ip):
                    nameless[node.node_type].append(node)
            elif not node.is_head:
                missing.append(node)
        self._early_ends.joined(joined)
        for nodes in nameless.values():
            _log_nameless(nodes)
        self._terminate_overdue(missing, NeverJoined, self._why_not_joined)

    def _why_not_allocated(self, node: ClusterNode) -> str:
        supplied = self._supplied.get(node.group_id)
        found = f" ({supplied}, so its source may have a limit)" if supplied else ""
        return (
            f"no platform node took its task within {self._timeout}{found}: look at its worker pool in YellowDog's "
            "portal"
        )

    def _why_not_joined(self, node: ClusterNode) -> str:
        step = self._setups.last(node.id)
        if step is None:
            return (
                f"its task has run for {self._timeout} and Ray has not joined: look at the output of its task, and at "
                "provider.ray_worker_node_task_script"
            )
        return (
            f"for {self._timeout} Ray's updater has come no further than {step.what}: look at {MONITOR_OUTPUT} on the "
            "head, and at the output of the node's task"
        )

    @property
    def _timeout(self) -> str:
        minutes = self._settings.current.worker_node_build_timeout_minutes
        return f"{minutes:g} min (provider.worker_node_build_timeout_minutes)"

    def _terminate_overdue(
        self, nodes: Iterable[ClusterNode], kind: type[NodeBuildError], why: Callable[[ClusterNode], str]
    ) -> None:
        minutes = self._settings.current.worker_node_build_timeout_minutes
        overdue = defaultdict(list)
        for node in nodes:
            if self._waited(node) >= minutes * 60:
                overdue[node.node_type].append(node)
        for node_type, late in overdue.items():
            self._fail(late, kind(f"node {late[0].id} of type '{node_type}': {why(late[0])}"))

    def set_up_failed(self, nodes: Iterable[ClusterNode]) -> None:
        """Record workers that Ray is about to terminate because its updater could not set them up."""
        failed = defaultdict(list)
        for node in nodes:
            failed[node.node_type].append(node)
        for node_type, of_type in failed.items():
            step = self._setups.last(of_type[0].id)
            at = f" at {step.what} ({step.error})" if step and step.error else ""
            text = f"node {of_type[0].id} of type '{node_type}': its set-up failed{at}: look at {MONITOR_OUTPUT}"
            self._record(of_type, SetupFailed(f"{text} on the head"))

    def _check_pools(self, waiting: Iterable[ClusterNode]) -> None:
        """Withdraw workers for which the platform provisions no instance."""
        now = self._monotonic()
        by_group = defaultdict(list)
        for node in waiting:
            by_group[node.group_id].append(node)
        self._short_since = {group_id: since for group_id, since in self._short_since.items() if group_id in by_group}
        self._supplied = {group_id: text for group_id, text in self._supplied.items() if group_id in by_group}
        for group_id, nodes in by_group.items():
            longest = max(map(self._waited, nodes))
            if longest < POOL_POLL_SECONDS or now - self._read_at.get(group_id, float("-inf")) < POOL_POLL_SECONDS:
                continue
            self._read_at[group_id] = now
            self._check_pool(group_id, nodes)

    def _check_pool(self, group_id: str, waiting: list[ClusterNode]) -> None:
        group = self._cluster.group(group_id)
        found = supply(self._platform, group) if group else None
        if found is None:
            return
        pool, compute = found
        if pool.finished:
            self._fail(waiting, ProvisioningFailed(f"worker pool {pool.name} has ended ({pool.status})"))
            return
        served = sum(
            node.platform_node_id is not None
            for node in self._cluster.snapshot.nodes.values()
            if node.group_id == group_id
        )
        unserved = len(waiting) - max(0, compute.live_instances - served)
        self._supplied[group_id] = (
            f"worker pool {pool.name} has {compute.live_instances} instances for {served + len(waiting)} nodes"
            if unserved > 0
            else ""
        )
        if unserved <= 0 or not compute.messages:
            self._short_since.pop(group_id, None)
            return
        since = self._short_since.setdefault(group_id, self._monotonic())
        if self._monotonic() - since >= SHORTAGE_TIMEOUT_SECONDS:
            del self._short_since[group_id]
            youngest_first = sorted(waiting, key=self._waited)
            reason = shortage(compute.messages)
            self._fail(youngest_first[:unserved], reason(f"worker pool {pool.name}: {'; '.join(compute.messages)}"))

    def _fail(self, nodes: Sequence[ClusterNode], reason: NodeBuildError) -> None:
        self._record(nodes, reason)
        self._cluster.terminate([node.id for node in nodes])

    def _record(self, nodes: Sequence[ClusterNode], reason: NodeBuildError) -> None:
        record_failure(self._launcher.backoff, nodes[0].node_type, [node.id for node in nodes], reason)

    def _waited(self, node: ClusterNode) -> float:
        """Seconds since a node's last progress: a new phase, or a new step of its updater."""
        since = self._since[node.id, node.phase]
        step = self._setups.last(node.id) if node.phase is Phase.RUNNING else None
        return self._monotonic() - (max(since, step.since) if step else since)


def _log_nameless(nodes: Sequence[ClusterNode]) -> None:
    """Log nodes without an id, which Ray only counts as pending; the head among them stops all launches."""
    first = nodes[0]
    logger.error(
        "Ray runs on %d node(s) of type '%s' (%s) without %s in its environment, so that autoscaler "
        "v2 cannot identify them: %s. Let provider.%s pass the task's environment on to `ray start`, also into a "
        "container (docs/containers.md)",
        len(nodes),
        first.node_type,
        ", ".join(node.id for node in nodes[:5]),
        CLOUD_INSTANCE_ID,
        "the cluster cannot grow" if first.is_head else "it waits for them, never finds them idle, and ends them",
        "ray_head_node_task_script" if first.is_head else "ray_worker_node_task_script",
    )
