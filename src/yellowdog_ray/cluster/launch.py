"""Launches workers: task groups and pools by node type, tasks in batches, back-off after failures.

Ray decides how many workers; monitor/liveness.py decides which of them have failed. Thread-safe: Ray launches from
several threads.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ray.autoscaler.tags import TAG_RAY_LAUNCH_REQUEST, TAG_RAY_USER_NODE_TYPE

from yellowdog_ray import names
from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.journal import Act, Note, note_nothing
from yellowdog_ray.cluster.pools import needed_nodes, placement, pool_spec, provision
from yellowdog_ray.cluster.snapshot import ClusterNode
from yellowdog_ray.config.environment import worker_environment
from yellowdog_ray.config.limits import LAST_LAUNCH, LAST_LAUNCH_SHARE, MAX_POOL_NODES
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.errors import (
    AlreadyExists,
    InternalError,
    LaunchBackedOff,
    LifetimeOver,
    PlatformError,
    ProvisioningFailed,
    RayDogError,
    Refused,
    Unavailable,
)
from yellowdog_ray.node import variables
from yellowdog_ray.node.authentication import worker_script
from yellowdog_ray.node.carrying import worker_script as carrying_script
from yellowdog_ray.node.machine_labels import with_machine_labels
from yellowdog_ray.node.scripts import WORKER_SCRIPT
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.idempotent import AMBIGUOUS, add_task_group, submit_tasks
from yellowdog_ray.platform.provisioning import AFTER_LIFETIME, PoolSpec
from yellowdog_ray.platform.types import (
    Placement,
    PoolView,
    TaskGroupSpec,
    TaskGroupView,
    TaskSpec,
    WorkRequirementView,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LaunchRequest:
    """One request of Ray's for workers.

    Attributes:
        node_type: the key of `available_node_types`.
        node_config: that type's `node_config`.
        tags: the tags that the nodes are to have.
        count: how many.
        resources: what each offers to Ray.
        labels: the Ray labels of each.
    """

    node_type: str
    node_config: NodeConfig
    tags: Mapping[str, str]
    count: int
    resources: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


class Launcher:
    """Launches the workers of one cluster.

    Args:
        cluster: the cluster.
        platform: the platform.
        settings: the settings in force.
        clock: time.
        admit: gives the variables that let a node join, by its id.
        note: receives launches and failures.

    Attributes:
        backoff: which node types are in back-off, and why.
    """

    def __init__(
        self,
        cluster: Cluster,
        platform: Platform,
        settings: LiveSettings,
        clock: Clock,
        admit: Callable[[str], Mapping[str, str]] = lambda _: {},
        note: Note = note_nothing,
    ) -> None:
        self._cluster = cluster
        self._admit = admit
        self._platform = platform
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()  # one writer of task groups and pools
        self._groups: dict[str, TaskGroupView] = {}
        self._ended_pools: set[str] = set()
        self._pool_sizes: dict[str, int] = {}
        self._pool_limit = MAX_POOL_NODES
        self._doubtful_at = -math.inf
        self._closed = ""
        self._note = note
        self.backoff = BackOff(clock.monotonic, note)

    def launch(self, request: LaunchRequest) -> list[str]:
        """Submit workers; they are in the snapshot when this returns.

        The first workers of a node type need a task group and a pool: seven calls. Later ones need two calls that read
        (the work requirement and the pool, which must be alive) and one per 1,000 workers.

        Returns:
            The new nodes' ids.

        Raises:
            LaunchBackedOff: the node type is in back-off after earlier failures, or the outcome of one is unknown, or
                the launcher is closed.
            InternalError: RayDog itself failed.
            RayDogError: the platform declined, or the cluster's lifetime is over.
        """
        self.backoff.check(request.node_type)
        try:
            ids = self._launch(request)
        except LaunchBackedOff:
            raise
        except RayDogError as error:
            self.backoff.failed(request.node_type, error)
            raise
        except Exception as error:
            # The tasks may exist: without a back-off each tick would launch as many again.
            bug = InternalError(f"a bug in RayDog, please report it: {type(error).__name__}: {error}")
            self.backoff.failed(request.node_type, bug)
            raise bug from error
        self.backoff.accepted(request.node_type)
        return ids

    def close(self, why: str) -> bool:
        """Launch nothing from now on. Returns False, without effect, while a launch is under way."""
        if not self._lock.acquire(blocking=False):
            return False
        self._closed = why
        self._lock.release()
        return True

    def open(self) -> None:
        """Launch again, after `close`."""
        self._closed = ""

    def replace(self, node: ClusterNode) -> str | None:
        """Submit another worker like this one, which is about to be lost: four calls.

        Its specification is read back from the platform, and its id follows from the lost one's. So this works after a
        restart of the autoscaler, and repeated calls launch one worker.

        Returns:
            The new node's id; None if the pool has ended, so that no machine would run it.
        """
        _, timeout = self._requirement()
        if self._has_no_pool(node):
            return None
        model = self._platform.task_spec(node.task_id)
        # A launch request stands for the nodes that Ray requested, and Ray has not requested this one.
        tags = {**node.tags, TAG_RAY_LAUNCH_REQUEST: str(uuid.uuid4())}
        node_id = names.replacement_id(node.node_type, node.id)
        changed = {
            variables.CLOUD_INSTANCE_ID: node_id,
            variables.NODE_TAGS: json.dumps(tags, sort_keys=True),
            **self._admit(node_id),
        }
        spec = replace(model, name=node_id, environment={**model.environment, **changed}, timeout=timeout)
        self._submit(node.group_id, [spec], tags, f"in place of {node.id}, which gets a spot notice")
        return node_id

    def _has_no_pool(self, node: ClusterNode) -> bool:
        """Whether the pool of a node's task group has ended. A configured one is somebody else's."""
        group = self._cluster.group(node.group_id)
        if group is None or group.configured:
            return False
        pool = self._platform.find_pool(group.worker_tag)
        return pool is not None and pool.finished

    def _submit(self, group_id: str, specs: list[TaskSpec], tags: Mapping[str, str], why: str) -> None:
        try:
            tasks = submit_tasks(self._platform, group_id, specs)
        except AMBIGUOUS:
            self._doubtful_at = self._clock.monotonic()
            raise
        self._cluster.add(tasks, tags)
        node_ids = [spec.name for spec in specs]
        self._note(Act.LAUNCHED, why, node_type=tags.get(TAG_RAY_USER_NODE_TYPE, ""), node_ids=node_ids)

    def _check_outcome_is_known(self) -> None:
        """Launch nothing while nodes may exist that no reading has shown: there would be too many."""
        if self._cluster.read_began < self._doubtful_at:
            raise LaunchBackedOff(
                "YellowDog has not answered an earlier launch, and has not shown since whether its nodes exist",
                Unavailable.code,
            )

    def _launch(self, request: LaunchRequest) -> list[str]:
        cluster = self._cluster
        head = cluster.snapshot.head
        head_ip = head.private_ip if head else None
        if head_ip is None:
            raise RayDogError(
                f"cluster '{cluster.name}': workers need the head's address, which the platform has not shown yet"
            )
        ids: list[str] = []
        with self._lock:
            self._check_outcome_is_known()
            work, timeout = self._requirement()
            while len(ids) < request.count:
                missing = request.count - len(ids)
                group, room = self._group_with_room(request, missing, work, timeout)
                if not ids:  # again: Ray launches in a thread, just before it terminates a node whose set-up has failed
                    self.backoff.check(request.node_type)
                specs = [self._worker(request, head_ip, timeout) for _ in range(min(missing, room))]
                self._submit(group.id, specs, request.tags, "requested by Ray's autoscaler")
                ids += [spec.name for spec in specs]
        return ids

    def _worker(self, request: LaunchRequest, head_ip: str, timeout: timedelta) -> TaskSpec:
        node_id = names.worker_id(request.node_type)
        settings = self._settings.current
        updater = settings.internal.worker_updater
        kind = settings.internal.node_types.get(request.node_type)
        environment = worker_environment(
            node_id,
            request.tags,
            head_ip,
            request.resources,
            request.labels,
            updater,
            kind.machine_labels if kind else {},
        )
        script = settings.ray_worker_node_task_script or WORKER_SCRIPT
        admission = self._admit(node_id)
        script = with_machine_labels(carrying_script(script) if variables.HEAD_RESTART in admission else script)
        if variables.TICKET in admission:
            script = worker_script(script)
        return TaskSpec(node_id, script, {**environment, **admission}, timeout)

    def _requirement(self) -> tuple[WorkRequirementView, timedelta]:
        """The unfinished work requirement, and the timeout of a task submitted now: the cluster's one deadline."""
        cluster = self._cluster
        if self._closed:
            raise LaunchBackedOff(self._closed, LifetimeOver.code)
        work = cluster.find()
        if work is None or work.cancelling:
            raise RayDogError(f"cluster '{cluster.name}' has been torn down: its work requirement has ended")
        lifetime, deadline = cluster.lifetime_of(work), cluster.deadline(work)
        if deadline is None:
            return work, lifetime
        remaining = deadline - self._clock.now()
        if remaining <= min(LAST_LAUNCH, lifetime * LAST_LAUNCH_SHARE):
            raise LifetimeOver(
                f"cluster '{cluster.name}': its lifetime of {lifetime} ends at "
                f"{deadline:%Y-%m-%d %H:%M:%S} UTC, so no worker is launched: raise provider.cluster_lifetime_hours "
                "and create the cluster again"
            )
        return work, remaining

    def _group_with_room(
        self, request: LaunchRequest, count: int, work: WorkRequirementView, timeout: timedelta
    ) -> tuple[TaskGroupView, int]:
        """A task group of the node type whose pool is alive, and how many more nodes it can have."""
        generation = 0
        config = request.node_config.with_tags(self._settings.current.instance_tags)
        configured = self._configured_placement(request)
        while True:
            generation += 1
            name = names.group_name(request.node_type, config.digest, generation)
            group, is_new = self._group(name, work, timeout, configured)
            if configured is not None:
                if group.placement == configured:
                    return group, request.count
                continue
            if self._room(group) <= 0 or group.worker_tag in self._ended_pools:
                continue
            pool = self._living_pool(group, self._pool_spec(request, group.worker_tag, count, timeout), is_new=is_new)
            if pool is None:
                self._ended_pools.add(group.worker_tag)
                continue
            self._pool_sizes[group.worker_tag] = pool.max_nodes or MAX_POOL_NODES
            if (room := self._room(group)) > 0:
                return group, room

    def _living_pool(self, group: TaskGroupView, spec: PoolSpec, *, is_new: bool) -> PoolView | None:
        """The pool of a task group, which is provisioned if it has none; None if it has ended."""
        # A pool is provisioned after its task group is added, so a new group has none yet.
        pool = None if is_new else self._platform.find_pool(group.worker_tag)
        if pool is not None:
            return None if pool.finished else pool
        try:
            return self._provision_pool(spec)
        except (AlreadyExists, Refused) as error:
            # It has ended, the platform shows it no more, and refuses its name, in words of its own.
            if is_new or not (isinstance(error, AlreadyExists) or self._had_nodes(group)):
                raise
            return None

    def _had_nodes(self, group: TaskGroupView) -> bool:
        """Whether nodes were submitted to a task group, so that it had a pool."""
        return group.worker_tag in self._pool_sizes or bool(group.counts and (group.counts.live or group.counts.ended))

    def _room(self, group: TaskGroupView) -> int:
        """How many more nodes a task group's pool can have, as far as its size is known. No call."""
        return self._pool_sizes.get(group.worker_tag, MAX_POOL_NODES) - self._cluster.load(group.id)

    def _configured_placement(self, request: LaunchRequest) -> Placement | None:
        """The placement in a configured pool, if the node type names one: one call."""
        reference = request.node_config.worker_pool
        if reference is None:
            return None
        pool = self._platform.existing_pool(reference)
        if pool.finished:
            raise ProvisioningFailed(f"worker pool '{reference}' has been shut down ({pool.status})")
        return placement(pool)

    def _group(
        self, name: str, work: WorkRequirementView, timeout: timedelta, configured: Placement | None
    ) -> tuple[TaskGroupView, bool]:
        """A task group, and whether it is new."""
        group = self._groups.get(name) or work.group(name)
        is_new = group is None
        if group is None:
            token = names.token_of(work.groups[0].worker_tag)
            spec = TaskGroupSpec(name, names.pool_name(self._cluster.name, name, token), timeout, configured)
            group = add_task_group(self._platform, work.id, spec)
        self._groups[name] = group
        return group, is_new

    def _provision_pool(self, spec: PoolSpec) -> PoolView:
        """Provision a pool that ends with the cluster.

        Timeouts of nodes and tasks ensure that, except for a machine that never registers and is replaced again and
        again: waiting tasks have no timeout, and the process that would withdraw them may be gone.
        """
        pool = provision(self._platform, spec)
        if pool.max_nodes and pool.max_nodes < spec.max_nodes:
            self._pool_limit = pool.max_nodes
        if pool.compute_requirement_id is None:
            return pool
        try:
            self._platform.end_compute_after(pool.compute_requirement_id, spec.idle_pool_timeout + AFTER_LIFETIME)
        except PlatformError as error:
            logger.warning("Worker pool '%s' has no end of its own: %s", spec.name, error)
        return pool

    def _pool_spec(self, request: LaunchRequest, name: str, nodes: int, timeout: timedelta) -> PoolSpec:
        settings = self._settings.current
        boot_timeout = timedelta(minutes=settings.worker_node_build_timeout_minutes)
        max_nodes = min(self._pool_limit, max(nodes, needed_nodes(settings.internal, request.node_type)))
        return pool_spec(
            self._cluster.name,
            settings,
            request.node_config,
            name,
            min(nodes, max_nodes),
            max_nodes,
            boot_timeout=boot_timeout,
            idle_pool_timeout=timeout,
        )
