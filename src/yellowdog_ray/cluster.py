"""One Ray cluster on the platform: list it and shrink it. It begins in `head`, grows in `growth`, ends in `teardown`.

Thread-safe: Ray lists from one thread, creates from several and terminates from another. Reading changes nothing on the
platform; a failed reading leaves the last complete snapshot in place.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from yellowdog_ray import names
from yellowdog_ray.clock import Clock, SystemClock
from yellowdog_ray.config import ProviderSettings
from yellowdog_ray.endings import UNSEEN_SECONDS, Endings, Push, Step
from yellowdog_ray.errors import NotFound, PlatformError
from yellowdog_ray.platform import Factory, Platform
from yellowdog_ray.snapshot import ClusterNode, Phase, Snapshot, build_snapshot
from yellowdog_ray.views import (
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

FULL_LISTING_SECONDS = 30.0
"""Tasks are read again after this long even if their counts say that nothing has changed."""

ABORTS_AT_ONCE = 16
"""The platform has no call that ends several tasks, so aborts go side by side."""


@dataclass
class _Requested:
    node: ClusterNode
    since: float


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
        self._snapshot = Snapshot()
        self._tasks: list[TaskView] = []
        self._platform_nodes: dict[str, PlatformNodeView] = {}
        self._requested: dict[str, _Requested] = {}
        self._endings = Endings(self.clock.monotonic)
        self._pools: dict[str, PoolView] = {}
        self._configured_pools: dict[str, str] = {}
        self._work: WorkRequirementView | None = None
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

        One call when nothing has changed; otherwise one per page of live tasks, and one per pool that has platform
        nodes we do not know yet.

        Raises:
            PlatformError: the platform could not be read; the last complete snapshot stays.
        """
        with self._listing_lock:
            self._work = work = self.find()
            if work is None:
                self._replace([], forget_requested=True)
            elif self._must_list(work):
                tasks = self.platform.live_tasks(work.id)
                complete = self._learn_platform_nodes(work, tasks)
                self._replace(tasks)
                # Counts that stay the same show nothing new where lists lag behind.
                self._fingerprint = _fingerprint(work) if complete and not self._requested else None
                self._listed_at = self.clock.monotonic()
            else:
                self._replace(self._tasks)
            self._push_endings()
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
            self._fingerprint = None

    def forget(self) -> None:
        """Drop everything remembered of an incarnation that has ended."""
        with self._lock:
            self._requirement_id = None
            self._adopted = self.on_head
            self._fingerprint = None
            self._pools.clear()
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
            if group.id in wanted and (pool_id := self._pool_of(group, wanted[group.id])):
                nodes |= {node.id: node for node in self.platform.platform_nodes(pool_id)}
        self._platform_nodes = nodes
        return all(node_id in nodes for node_ids in wanted.values() for node_id in node_ids)

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
            self._endings.observe(tasks, adopt=self.on_head)
            self._compose()

    def _compose(self) -> None:
        hidden = self._endings.node_ids
        listed = build_snapshot(self._tasks, self._platform_nodes, hidden).nodes
        unseen = {
            node_id: requested.node
            for node_id, requested in self._requested.items()
            if node_id not in hidden and node_id not in listed
        }
        self._snapshot = Snapshot({**listed, **unseen})

    # Growing and shrinking

    def remember(self, tasks: Iterable[TaskView], tags: Mapping[str, str]) -> None:
        """List nodes that the platform has just accepted, before it shows them; not those that have ended already."""
        now = self.clock.monotonic()
        with self._lock:
            for task in tasks:
                if task.finished:
                    continue
                node = ClusterNode(task.name, task.id, task.group_id, Phase.PENDING, tags)
                self._requested[task.name] = _Requested(node, now)
            self._compose()

    def terminate(self, node_ids: Iterable[str]) -> None:
        """End workers. They leave the snapshot at once; ids that are not known are left alone.

        On the head this returns at once and the aborts go on beside the autoscaler's loop; elsewhere it waits for
        them, since the process may be about to end.
        """
        with self._lock:
            known = [self._snapshot.nodes[node_id] for node_id in node_ids if node_id in self._snapshot.nodes]
            self._endings.begin(node.id for node in known)
            self._compose()
        self._in_background(self._abort, [node.task_id for node in known])

    def _push_endings(self) -> None:
        """Go on with the endings that have not taken, and name each step."""
        with self._lock:
            groups = self._work.groups if self._work else ()
            pushes = self._endings.due(self._tasks, {group.id for group in groups if group.configured})
        for push in pushes:
            logger.warning(
                "node %s was asked to end %.0f s ago, and its task is still %s: %s",
                push.task.name,
                push.waited,
                push.task.status,
                push.step.value,
            )
        self._in_background(self._push, pushes)

    def _abort(self, task_id: str) -> None:
        self._try(task_id, self.platform.abort_task)

    def _push(self, push: Push) -> None:
        node_id = push.task.platform_node_id
        if push.step is Step.ABORT or node_id is None:
            self._abort(push.task.id)
        elif push.step is Step.SHUT_DOWN_NODE:
            self._try(node_id, self.platform.shut_down_node)
        else:
            self._try(node_id, self._terminate_instance)

    def _terminate_instance(self, platform_node_id: str) -> None:
        node = self.platform.platform_node(platform_node_id)
        pool = self.platform.pool(node.pool_id)
        if pool.compute_requirement_id:
            self.platform.terminate_instance(pool.compute_requirement_id, node.instance_id)

    def _try(self, thing: str, end: Callable[[str], None]) -> None:
        try:
            end(thing)
        except PlatformError as error:
            logger.warning("%s could not be ended yet, will be tried again: %s", thing, error)

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
        with self._lock:
            shown = {task.name for task in self._tasks if task.group_id == group_id}
            asked = {requested.node.id for requested in self._requested.values() if requested.node.group_id == group_id}
        return len(shown | asked)

    def close(self) -> None:
        """Wait for the aborts that are under way."""
        self._aborter.shutdown()


def _fingerprint(work: WorkRequirementView) -> tuple[object, ...]:
    return tuple((group.id, group.fingerprint) for group in work.groups)
