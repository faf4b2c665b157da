"""One Ray cluster on the platform: list it, grow it, shrink it. Its beginning is in `head`, its end in `teardown`.

Thread-safe: Ray lists from one thread, creates from several and terminates from another. Reading changes nothing on the
platform; a failed reading leaves the last complete snapshot in place.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta

from yellowdog_ray import names
from yellowdog_ray.backoff import BackOff
from yellowdog_ray.bootstrap import worker_environment
from yellowdog_ray.clock import Clock, SystemClock
from yellowdog_ray.config import NodeConfig, ProviderSettings
from yellowdog_ray.errors import AlreadyExists, DeadlinePassed, PlatformError, RayDogError
from yellowdog_ray.platform import Factory, Platform
from yellowdog_ray.scripts import WORKER_SCRIPT
from yellowdog_ray.snapshot import ClusterNode, Phase, Snapshot, build_snapshot
from yellowdog_ray.views import (
    PlatformNodeView,
    PoolSpec,
    PoolView,
    TaskGroupSpec,
    TaskGroupView,
    TaskSpec,
    TaskView,
    WorkRequirementView,
)

logger = logging.getLogger(__name__)

MAX_POOL_NODES = 10_000
"""Nodes in one worker pool (official CLI, `MAX_WORKER_POOL_NODE_COUNT`, "enforced by the platform")."""

WORKER_BOOT_TIMEOUT = timedelta(minutes=10)
"""How long the platform waits for a worker's instance to register before it gives the instance up."""

IDLE_NODE_TIMEOUT = timedelta(seconds=20)
"""How long a platform node without a task is kept. Ray has decided that it is not needed, so not for long; but a time
above 0 also ends nodes that were booted for a task that has been withdrawn meanwhile, and lets a fresh one wait for its
task."""

FULL_LISTING_SECONDS = 30.0
"""Tasks are read again after this long even if their counts say that nothing has changed."""

UNSEEN_SECONDS = 60.0
"""How long a node that the platform accepted is listed without the platform showing it."""

ABORT_AGAIN_SECONDS = 10.0
"""How long after an abort a task that shows no sign of it is asked again."""

ABORTS_AT_ONCE = 16
"""The platform has no call that ends several tasks, so aborts go side by side."""


@dataclass(frozen=True)
class LaunchRequest:
    """Workers that Ray asks for.

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


@dataclass
class _Requested:
    node: ClusterNode
    since: float


@dataclass
class _Ledger:
    """Nodes that were asked to end: hidden from the listing until the platform has dropped them."""

    asked: dict[str, float] = field(default_factory=dict)

    def due(self, tasks: Iterable[TaskView], now: float) -> list[str]:
        """Task ids of those that show no sign of their end and should be asked again."""
        return [
            task.id
            for task in tasks
            if not task.abort_requested
            and task.name in self.asked
            and now - self.asked[task.name] >= ABORT_AGAIN_SECONDS
        ]


class Cluster:
    """The cluster of one name in one namespace.

    Args:
        name: Ray's `cluster_name`; also the work requirement's name.
        settings: the YAML's `provider` section.
        connect: makes the platform client; called at the first need, never while constructing.
        pinned: the work requirement's id where it is known (on the head): then no other can ever be meant.
        on_head: whether this runs inside the head's autoscaler, whose loop must not be kept waiting.
        clock: time.
    """

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        connect: Factory,
        *,
        pinned: str | None = None,
        on_head: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()
        self.on_head = on_head
        self._connect = connect
        self._platform: Platform | None = None
        self._requirement_id = pinned
        self._lock = threading.RLock()  # guards what is remembered; never held during a platform call
        self._listing_lock = threading.Lock()  # one reading at a time
        self._growing_lock = threading.Lock()  # one writer of task groups and pools
        self._snapshot = Snapshot()
        self._tasks: list[TaskView] = []
        self._platform_nodes: dict[str, PlatformNodeView] = {}
        self._requested: dict[str, _Requested] = {}
        self._ledger = _Ledger()
        self._pools: dict[str, PoolView] = {}
        self._groups: dict[str, TaskGroupView] = {}
        self._backoff = BackOff(self.clock.monotonic)
        self._fingerprint: object = None
        self._listed_at = float("-inf")
        self._aborter = ThreadPoolExecutor(ABORTS_AT_ONCE, thread_name_prefix="raydog-abort")

    @property
    def platform(self) -> Platform:
        """The platform client, made at the first need."""
        with self._lock:
            if self._platform is None:
                self._platform = self._connect()
            return self._platform

    @property
    def snapshot(self) -> Snapshot:
        """The last complete listing, with what we asked for since."""
        return self._snapshot

    # Listing

    def refresh(self) -> Snapshot:
        """Read the cluster from the platform.

        One call when nothing has changed; otherwise one per page of live tasks, and one per pool that has platform
        nodes we do not know yet.

        Raises:
            PlatformError: the platform could not be read; the last complete snapshot stays.
        """
        with self._listing_lock:
            work = self.find()
            if work is None:
                self._replace([], forget_requested=True)
            elif self._must_list(work):
                tasks = self.platform.live_tasks(work.id)
                complete = self._learn_platform_nodes(work, tasks)
                self._replace(tasks)
                self._fingerprint = _fingerprint(work) if complete else None
                self._listed_at = self.clock.monotonic()
            else:
                self._replace(self._tasks)
            self._ask_again()
            return self._snapshot

    def find(self) -> WorkRequirementView | None:
        """The cluster's unfinished work requirement, or None."""
        if self._requirement_id is None:
            found = self.platform.find_work_requirement(self.name)
            self._requirement_id = found.id if found else None
            return found
        work = self.platform.work_requirement(self._requirement_id)
        if not work.finished:
            return work
        if not self.on_head:
            self._requirement_id = None
        return None

    def adopt(self, work: WorkRequirementView) -> None:
        """Take this work requirement for the cluster's own."""
        with self._lock:
            self._requirement_id = work.id
            self._fingerprint = None

    def forget(self) -> None:
        """Drop everything remembered of an incarnation that has ended."""
        with self._lock:
            self._requirement_id = None
            self._fingerprint = None
            self._pools.clear()
            self._groups.clear()
        self._replace([], forget_requested=True)

    def _must_list(self, work: WorkRequirementView) -> bool:
        stale = self.clock.monotonic() - self._listed_at >= FULL_LISTING_SECONDS
        return stale or self._fingerprint is None or self._fingerprint != _fingerprint(work)

    def _learn_platform_nodes(self, work: WorkRequirementView, tasks: Iterable[TaskView]) -> bool:
        """Read the platform nodes that run tasks and are not known yet. Returns whether all are known now."""
        wanted: dict[str, set[str]] = {}
        for task in tasks:
            if task.platform_node_id and task.platform_node_id not in self._platform_nodes:
                wanted.setdefault(task.group_id, set()).add(task.platform_node_id)
        known = {task.platform_node_id for task in tasks}
        nodes = {node_id: node for node_id, node in self._platform_nodes.items() if node_id in known}
        for group in work.groups:
            if group.id in wanted and (pool := self._pool(group.worker_tag)):
                nodes |= {node.id: node for node in self.platform.platform_nodes(pool.id)}
        self._platform_nodes = nodes
        return all(node_id in nodes for node_ids in wanted.values() for node_id in node_ids)

    def _pool(self, worker_tag: str) -> PoolView | None:
        pool = self._pools.get(worker_tag) or self.platform.find_pool(worker_tag)
        if pool:
            self._pools[worker_tag] = pool
        return pool

    def _replace(self, tasks: list[TaskView], *, forget_requested: bool = False) -> None:
        """Put a new snapshot in place: what the platform shows, what it does not show yet, less what is to end."""
        with self._lock:
            self._tasks = tasks
            shown = {task.name for task in tasks}
            now = self.clock.monotonic()
            self._requested = {
                node_id: requested
                for node_id, requested in self._requested.items()
                if not forget_requested and node_id not in shown and now - requested.since < UNSEEN_SECONDS
            }
            self._ledger.asked = {
                node_id: since
                for node_id, since in self._ledger.asked.items()
                if node_id in shown or now - since < UNSEEN_SECONDS
            }
            self._compose()

    def _compose(self) -> None:
        hidden = frozenset(self._ledger.asked)
        listed = build_snapshot(self._tasks, self._platform_nodes, hidden).nodes
        unseen = {
            node_id: requested.node
            for node_id, requested in self._requested.items()
            if node_id not in hidden and node_id not in listed
        }
        self._snapshot = Snapshot({**listed, **unseen})

    # Growth

    def grow(self, request: LaunchRequest) -> list[str]:
        """Ask for workers; they are in the snapshot when this returns.

        For the first workers of a node type a task group and a pool are made. After that it is two calls that read
        (is the cluster still wanted, does the pool live?) and one per 1,000 workers.

        Returns:
            The new nodes' ids.

        Raises:
            LaunchPaused: the node type is left alone for a while, after earlier failures.
            RayDogError: the platform declined, or the cluster's lifetime is over.
        """
        self._backoff.check(request.node_type)
        try:
            ids = self._grow(request)
        except RayDogError as error:
            self._backoff.failed(request.node_type, error)
            raise
        self._backoff.succeeded(request.node_type)
        return ids

    def _grow(self, request: LaunchRequest) -> list[str]:
        head = self._snapshot.head
        head_ip = head.private_ip if head else None
        if head_ip is None:
            raise RayDogError(
                f"cluster '{self.name}': workers need the head's address, which the platform has not shown yet"
            )
        with self._growing_lock:
            work = self._requirement()
            timeout = self._remaining(work)
            group = self._group(request, work, timeout)
        specs = [self._worker(request, head_ip, timeout) for _ in range(request.count)]
        self.remember(self.add_tasks(group.id, specs), request.tags)
        return [spec.name for spec in specs]

    def _worker(self, request: LaunchRequest, head_ip: str, timeout: timedelta) -> TaskSpec:
        node_id = names.worker_id(request.node_type)
        environment = worker_environment(node_id, request.tags, head_ip, request.resources, request.labels)
        script = self.settings.ray_worker_node_task_script or WORKER_SCRIPT
        return TaskSpec(node_id, script, environment, timeout)

    def _requirement(self) -> WorkRequirementView:
        work = self.find()
        if work is None or work.cancelling:
            raise RayDogError(f"cluster '{self.name}' has been taken down: its work requirement has ended")
        return work

    def _remaining(self, work: WorkRequirementView) -> timedelta:
        """How long a node that is made now may live: the cluster has one deadline, fixed when it was made."""
        head = work.group(names.HEAD_GROUP)
        lifetime = head.task_timeout if head and head.task_timeout else self.lifetime
        remaining = work.created + lifetime - self.clock.now()
        if remaining <= timedelta(0):
            raise DeadlinePassed(
                f"cluster '{self.name}': its lifetime of {lifetime} is over, so no worker is added: "
                "raise provider.cluster_lifetime_hours and make the cluster again"
            )
        return remaining

    @property
    def lifetime(self) -> timedelta:
        """The cluster's lifetime, as the YAML states it."""
        return timedelta(hours=self.settings.cluster_lifetime_hours)

    def _group(self, request: LaunchRequest, work: WorkRequirementView, timeout: timedelta) -> TaskGroupView:
        """The node type's task group, with a living pool behind it."""
        known = self._groups.get(request.node_type)
        if known is not None and (pool := self.platform.find_pool(known.worker_tag)) and not pool.finished:
            return known
        token = names.token_of(work.groups[0].worker_tag)
        generation = 1
        while True:
            name = names.group_name(request.node_type, generation)
            group = work.group(name)
            if group is None:
                tag = names.pool_name(self.name, name, token)
                spec = TaskGroupSpec(name, tag, task_timeout=timeout)
                work = self.platform.add_task_group(work.id, spec)
                group = work.group(name)
            if group is None:
                raise PlatformError(f"the platform took task group '{name}' but does not show it")
            pool = self.platform.find_pool(group.worker_tag)
            if pool is None or not pool.finished:
                break
            generation += 1
        self._pools[group.worker_tag] = pool or self.make_pool(
            group.worker_tag,
            request.node_config,
            request.count,
            MAX_POOL_NODES,
            boot_timeout=WORKER_BOOT_TIMEOUT,
            idle_pool_timeout=timeout,
        )
        self._groups[request.node_type] = group
        return group

    def make_pool(
        self,
        name: str,
        node_config: NodeConfig,
        count: int,
        max_nodes: int,
        *,
        boot_timeout: timedelta,
        idle_pool_timeout: timedelta,
    ) -> PoolView:
        """Provision a pool, or find the one that an earlier try of this very call has made."""
        spec = PoolSpec(
            name=name,
            template=node_config.compute_requirement_template,
            tag=self.settings.cluster_tag,
            nodes=min(count, max_nodes),
            max_nodes=max_nodes,
            boot_timeout=boot_timeout,
            idle_node_timeout=IDLE_NODE_TIMEOUT,
            idle_pool_timeout=idle_pool_timeout,
            images_id=node_config.images_id,
            user_data=node_config.full_userdata,
            metrics_enabled=node_config.metrics_enabled,
        )
        try:
            return self.platform.create_pool(spec)
        except AlreadyExists:
            pool = self.platform.find_pool(name)
            if pool is None:
                raise
            return pool

    def add_tasks(self, group_id: str, specs: list[TaskSpec]) -> list[TaskView]:
        """Add tasks, or find those that an earlier try of this very call, or another process, has added."""
        try:
            return self.platform.add_tasks(group_id, specs)
        except AlreadyExists:
            # The names are our own, so whatever bears them is what we asked for: a retried request, for one.
            wanted = {spec.name for spec in specs}
            added = [task for task in self.platform.group_tasks(group_id) if task.name in wanted]
            if len(added) != len(specs):
                raise
            return added

    def remember(self, tasks: Iterable[TaskView], tags: Mapping[str, str]) -> None:
        """List nodes that the platform has just accepted, before it shows them."""
        now = self.clock.monotonic()
        with self._lock:
            for task in tasks:
                node = ClusterNode(task.name, task.id, Phase.PENDING, tags)
                self._requested[task.name] = _Requested(node, now)
            self._compose()

    # Shrinking

    def terminate(self, node_ids: Iterable[str]) -> None:
        """End workers. They leave the snapshot at once; ids that are not known are left alone.

        On the head this returns at once and the aborts go on beside the autoscaler's loop; elsewhere it waits for
        them, since the process may be about to end.
        """
        now = self.clock.monotonic()
        with self._lock:
            known = [self._snapshot.nodes[node_id] for node_id in node_ids if node_id in self._snapshot.nodes]
            self._ledger.asked |= {node.id: now for node in known}
            self._compose()
        self._abort_all([node.task_id for node in known])

    def _abort_all(self, task_ids: Iterable[str]) -> None:
        aborts = [self._aborter.submit(self._abort, task_id) for task_id in task_ids]
        if not self.on_head:
            wait(aborts)

    def _abort(self, task_id: str) -> None:
        try:
            self.platform.abort_task(task_id)
        except PlatformError as error:
            logger.warning("task %s could not be aborted yet, will be asked again: %s", task_id, error)

    def _ask_again(self) -> None:
        now = self.clock.monotonic()
        with self._lock:
            due = self._ledger.due(self._tasks, now)
            names_of = {task.id: task.name for task in self._tasks}
            self._ledger.asked |= {names_of[task_id]: now for task_id in due}
        self._abort_all(due)

    def close(self) -> None:
        """Wait for the aborts that are under way."""
        self._aborter.shutdown()


def _fingerprint(work: WorkRequirementView) -> tuple[object, ...]:
    return tuple((group.id, group.fingerprint) for group in work.groups)
