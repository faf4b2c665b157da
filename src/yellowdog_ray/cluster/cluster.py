"""One Ray cluster on the platform: list it and shrink it. It begins in `head`, grows in `growth`, ends in `teardown`.

Thread-safe: Ray lists from one thread, creates from several and terminates from another. Reading changes nothing on the
platform; a failed reading leaves the last complete snapshot in place.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from yellowdog_ray import names
from yellowdog_ray.clock import Clock, SystemClock
from yellowdog_ray.cluster.snapshot import ClusterNode, Snapshot, build_snapshot
from yellowdog_ray.cluster.task_cache import Listing
from yellowdog_ray.cluster.terminations import Endings, Push, Step
from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.errors import NotFound, PlatformError
from yellowdog_ray.platform.calls import PAGE_SIZE
from yellowdog_ray.platform.client import Factory, Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import (
    ComputeView,
    MachineSize,
    PlatformNodeView,
    PoolView,
    TaskGroupView,
    TaskView,
    WorkRequirementView,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")

REGISTERED_BEFORE = timedelta(minutes=1)
"""How long before a task is given to it a platform node may have registered, and still be read with the latest."""

ABORTS_AT_ONCE = 16
"""The platform has no call that ends several tasks, so aborts go side by side."""

MOST_LOGGED = 10
"""How many nodes that do not end the log names at a time."""


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
        self._adopted = on_head
        self._lock = threading.RLock()  # guards what is remembered; never held during a platform call
        self._listing_lock = threading.Lock()  # one reading at a time
        self._listing = Listing(lambda: self.platform, self.clock.monotonic)
        self._snapshot = Snapshot()
        self._composed = False  # whether the snapshot shows all that the listing holds
        self._tasks: Mapping[str, TaskView] = {}
        self._platform_nodes: dict[str, PlatformNodeView] = {}
        self._nodes_read: dict[str, datetime] = {}
        self._endings = Endings(self.clock.monotonic)
        self._pools: dict[str, PoolView] = {}
        self._configured_pools: dict[str, str] = {}
        self._work: WorkRequirementView | None = None
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

    @property
    def settled(self) -> bool:
        """Whether the snapshot shows all there is, and nothing is being ended."""
        return self._composed and not self._endings.node_ids

    @property
    def ending(self) -> frozenset[str]:
        """Ids of the nodes that were asked to end and may not have yet; they are not in the snapshot."""
        return self._endings.node_ids

    @property
    def lifetime(self) -> timedelta:
        """The cluster's lifetime, as the YAML states it."""
        return timedelta(hours=self.settings.cluster_lifetime_hours)

    def deadline(self, work: WorkRequirementView | None = None) -> datetime | None:
        """The end of the cluster's lifetime, fixed when it was made; None while no reading has shown the cluster."""
        work = work or self._work
        if work is None:
            return None
        head = work.group(names.HEAD_GROUP)
        return work.created + (head.task_timeout if head and head.task_timeout else self.lifetime)

    # Listing

    def refresh(self) -> Snapshot:
        """Read the cluster from the platform.

        One call when nothing has changed, and then the snapshot stays the same object. Otherwise also one per page of
        tasks that have changed, and of platform nodes that we do not know yet.

        Raises:
            PlatformError: the platform could not be read; the last complete snapshot stays.
        """
        with self._listing_lock:
            if not (self.on_head and self._work and self._composed and self._listing.confirmed(self._work.id)):
                self._read()
            self._settle()
            self._push_endings()
            return self._snapshot

    def _read(self) -> None:
        self._work = work = self.find()
        if work is None:
            self._forget_tasks()
            return
        if self._listing.update(work):
            self._composed = False
        if not self._composed:
            self._learn_platform_nodes(work)

    def find(self) -> WorkRequirementView | None:
        """The cluster's unfinished work requirement, or None."""
        if self._requirement_id is None:
            found = self.platform.find_work_requirement(self.name)
            self._requirement_id = found.id if found else None
            return found
        work = self.platform.work_requirement(self._requirement_id)
        if not work.finished:
            return work
        if not self._adopted:
            self._requirement_id = None
        return None

    def last(self) -> WorkRequirementView | None:
        """The work requirement that was adopted, or else the youngest of the cluster's name; ended ones too."""
        if self._adopted and self._requirement_id is not None:
            return self.platform.work_requirement(self._requirement_id)
        return self.platform.find_work_requirement(self.name, finished=True)

    def adopt(self, work: WorkRequirementView) -> None:
        """Take this work requirement for the cluster's own, and until `forget` no other, not even after its end."""
        with self._lock:
            self._requirement_id = work.id
            self._adopted = True

    def forget(self) -> None:
        """Drop everything remembered of an incarnation that has ended."""
        with self._lock:
            self._requirement_id = None
            self._adopted = self.on_head
            self._pools.clear()
        self._forget_tasks()
        self._settle()

    def _forget_tasks(self) -> None:
        self._listing.clear()
        self._composed = False

    def _learn_platform_nodes(self, work: WorkRequirementView) -> None:
        """Read the platform nodes that tasks were given to and that are not known yet; forget those of no task."""
        nodes: dict[str, PlatformNodeView] = {}
        unknown: dict[str, set[str]] = {}
        for task in self._listing.tasks().values():
            if (node_id := task.platform_node_id) is None:
                continue
            if node_id in self._platform_nodes:
                nodes[node_id] = self._platform_nodes[node_id]
            else:
                unknown.setdefault(task.group_id, set()).add(node_id)
        groups = [group for group in work.groups if group.id in unknown]
        for found in run_concurrently(lambda group: self._look_up(group, unknown[group.id]), groups):
            nodes |= found
        self._platform_nodes = nodes

    def _look_up(self, group: TaskGroupView, node_ids: set[str]) -> dict[str, PlatformNodeView]:
        """Read these platform nodes of a group's pool, as far as the platform shows them, by as few calls as may be."""
        if len(node_ids) * PAGE_SIZE < self.load(group.id):
            return self._look_up_each(node_ids)
        pool_id = self._pool_of(group, node_ids)
        if pool_id is None:
            return {}
        since = self._nodes_read.get(pool_id)
        found = self._nodes_since(pool_id, since, node_ids)
        if since and node_ids - found.keys():
            found = self._nodes_since(pool_id, None, node_ids)
        if group.counts and group.counts.changed:
            self._nodes_read[pool_id] = group.counts.changed - REGISTERED_BEFORE
        return found

    def _nodes_since(self, pool_id: str, since: datetime | None, wanted: set[str]) -> dict[str, PlatformNodeView]:
        return {node.id: node for node in self.platform.platform_nodes(pool_id, since) if node.id in wanted}

    def _look_up_each(self, node_ids: Iterable[str]) -> dict[str, PlatformNodeView]:
        found = {}
        for node_id in node_ids:
            with contextlib.suppress(NotFound):
                found[node_id] = self.platform.platform_node(node_id)
        return found

    def _pool_of(self, group: TaskGroupView, platform_node_ids: Iterable[str]) -> str | None:
        """The id of the pool that serves a task group: at most one call."""
        if not group.configured:
            pool = self.pool(group.worker_tag)
            return pool.id if pool else None
        if group.id not in self._configured_pools:
            try:
                node = self.platform.platform_node(min(platform_node_ids))
            except NotFound:
                return None
            self._configured_pools[group.id] = node.pool_id
        return self._configured_pools[group.id]

    def pool(self, worker_tag: str) -> PoolView | None:
        """The pool that serves a task group, as it was when first seen: at most one call."""
        pool = self._pools.get(worker_tag) or self.platform.find_pool(worker_tag)
        if pool:
            self._pools[worker_tag] = pool
        return pool

    def _settle(self) -> None:
        """Take note of what the platform shows, and put a new snapshot in place if that has changed."""
        with self._lock:
            if self._composed:
                ending = (self._tasks.get(node_id) for node_id in self._endings.node_ids)
                self._endings.observe([task for task in ending if task], adopt=self.on_head)
                return
            self._tasks = self._listing.tasks()
            self._endings.observe(self._tasks.values(), adopt=self.on_head)
            self._snapshot = build_snapshot(self._tasks.values(), self._platform_nodes, self._endings.node_ids)
            given = {task.platform_node_id for task in self._tasks.values() if task.platform_node_id}
            # What is not known of a platform node yet is looked up again at the next reading.
            self._composed = given <= self._platform_nodes.keys()

    # Growing and shrinking

    def remember(self, tasks: Iterable[TaskView], tags: Mapping[str, str]) -> None:
        """List nodes that the platform has just accepted, before it shows them; not those that have ended already."""
        accepted = [replace(task, tags=tags) for task in tasks if not task.finished]
        with self._lock:
            self._listing.add(accepted)
            self._composed = False
            new = build_snapshot(accepted, self._platform_nodes, self._endings.node_ids)
            self._snapshot = Snapshot({**new.nodes, **self._snapshot.nodes})

    def terminate(self, node_ids: Iterable[str]) -> None:
        """End workers. They leave the snapshot at once; ids that are not known are left alone.

        On the head this returns at once and the aborts go on beside the autoscaler's loop; elsewhere it waits for
        them, since the process may be about to end.
        """
        with self._lock:
            nodes = dict(self._snapshot.nodes)
            known = [nodes.pop(node_id) for node_id in node_ids if node_id in nodes]
            self._endings.begin(node.id for node in known)
            self._snapshot = Snapshot(nodes)
        self._in_background(self._abort, known)

    def _push_endings(self) -> None:
        """Go on with the endings that have not taken, and name each step."""
        with self._lock:
            groups = self._work.groups if self._work else ()
            ending = [self._tasks[node_id] for node_id in self._endings.node_ids if node_id in self._tasks]
            pushes = self._endings.due(ending, {group.id for group in groups if group.configured})
        for push in pushes[:MOST_LOGGED]:
            logger.warning(
                "node %s was asked to end %.0f s ago, and its task is still %s: %s",
                push.task.name,
                push.waited,
                push.task.status,
                push.step.value,
            )
        if len(pushes) > MOST_LOGGED:
            logger.warning("... and likewise of %d more nodes", len(pushes) - MOST_LOGGED)
        self._in_background(self._push, pushes)

    def _abort(self, node: ClusterNode) -> None:
        self._abort_task(node.id, node.task_id)

    def _abort_task(self, node_id: str, task_id: str) -> None:
        heard = False
        try:
            task = self._try(task_id, self.platform.abort_task)
            heard = task is not None and (task.abort_requested or task.finished)
        finally:
            with self._lock:
                self._endings.asked(node_id, heard=heard)

    def _push(self, push: Push) -> None:
        task, node_id = push.task, push.task.platform_node_id
        if push.step is Step.ABORT or node_id is None:
            self._abort_task(task.name, task.id)
            return
        try:
            if push.step is Step.SHUT_DOWN_NODE:
                self._try(node_id, self.platform.shut_down_node)
            else:
                self._try(node_id, self._terminate_instance)
        finally:
            with self._lock:
                self._endings.asked(task.name)

    def _terminate_instance(self, platform_node_id: str) -> None:
        node = self.platform.platform_node(platform_node_id)
        pool = self.platform.pool(node.pool_id)
        if pool.compute_requirement_id:
            self.platform.terminate_instance(pool.compute_requirement_id, node.instance_id)

    def _try(self, thing: str, end: Callable[[str], T]) -> T | None:
        try:
            return end(thing)
        except PlatformError as error:
            logger.warning("%s could not be ended yet, will be tried again: %s", thing, error)
            return None

    def _in_background(self, action: Callable[[T], None], things: Iterable[T]) -> None:
        begun = [self._aborter.submit(action, thing) for thing in things]
        if not self.on_head:
            wait(begun)

    def supply(self, group_id: str) -> tuple[PoolView, ComputeView] | None:
        """The pool behind a task group and the instances behind the pool: three calls.

        None for a group that is unknown, or that a configured pool serves.
        """
        groups = self._work.groups if self._work else ()
        tag = next((group.worker_tag for group in groups if group.id == group_id and not group.configured), None)
        pool = self.platform.find_pool(tag) if tag else None
        if pool is None or pool.compute_requirement_id is None:
            return None
        return pool, self.platform.compute(pool.compute_requirement_id)

    def machine_size(self, platform_node_id: str) -> MachineSize | None:
        """What a platform node has, if it is known already: no call."""
        node = self._platform_nodes.get(platform_node_id)
        return node.size if node else None

    def load(self, group_id: str) -> int:
        """How many nodes of a task group are alive or asked for, those that are to end included."""
        return self._listing.size(group_id)

    def close(self) -> None:
        """Wait for the aborts that are under way."""
        self._aborter.shutdown()
