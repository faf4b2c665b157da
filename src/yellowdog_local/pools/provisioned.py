"""Worker pools: provision, resize, shut down, and detect that they are idle or have ended.

Imports platform nodes and requirements; the scheduler decides when tasks need a larger pool.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta

from yellowdog_client.model import (
    AutoShutdown,
    ComputeRequirementStatus,
    ComputeRequirementTemplateUsage,
    ConfiguredWorkerPool,
    InstanceStatus,
    NodeActionQueueStatus,
    NodeSearch,
    NodeSummary,
    NodeWorkerTarget,
    NodeWorkerTargetType,
    ProvisionedWorkerPool,
    ProvisionedWorkerPoolProperties,
    TaskStatus,
    WorkerPoolSearch,
    WorkerPoolStatus,
    WorkerPoolSummary,
    WorkerSummary,
)

from yellowdog_local.compute.requirements import Compute
from yellowdog_local.errors import AlreadyExists, InvalidRequest, NotCovered
from yellowdog_local.events import Events
from yellowdog_local.pools.nodes import Nodes, worker_count
from yellowdog_local.state import ids, search
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.lives import WORKER_POOL, PoolEvent
from yellowdog_local.state.records import InstanceRecord, NodeRecord, PoolRecord
from yellowdog_local.state.retention import Retention
from yellowdog_local.state.slots import Slots
from yellowdog_local.state.store import Store

_log = logging.getLogger(__name__)
_Status = WorkerPoolStatus


class Pools:
    """The worker pool service. Every method is called under the platform's lock."""

    def __init__(
        self,
        kernel: Kernel,
        store: Store,
        id_maker: ids.Ids,
        slots: Slots,
        nodes: Nodes,
        compute: Compute,
        events: Events,
    ) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = id_maker
        self._slots = slots
        self._nodes = nodes
        self._compute = compute
        self._retention = Retention(kernel, store)
        self._events = events

    def provision(
        self, usage: ComputeRequirementTemplateUsage, wanted: ProvisionedWorkerPoolProperties | None
    ) -> PoolRecord:
        """Provision a pool and its compute requirement of the same name."""
        properties = self._complete(usage, wanted or ProvisionedWorkerPoolProperties())
        if usage.maintainInstanceCount:
            raise InvalidRequest("maintainInstanceCount must be false for a worker pool")
        if usage.requirementNamespace is not None:
            self.refuse_taken_name(usage.requirementNamespace, usage.requirementName)
        requirement = self._compute.provision(usage)
        now = self._kernel.now()
        entity = ProvisionedWorkerPool(properties=properties, computeRequirementId=requirement.id)
        pool = PoolRecord(
            seq=self._kernel.next_sequence(),
            id=self._ids.new("wrkrpool"),
            entity=entity,
            namespace=requirement.namespace,
            name=requirement.name,
            requirement=requirement,
            properties=properties,
            target=usage.targetInstanceCount,
            min_nodes=properties.minNodes or 0,
            max_nodes=properties.maxNodes or 0,
            boot_timeout=properties.nodeBootTimeout.total_seconds() if properties.nodeBootTimeout else 0,
            idle_node_seconds=_seconds(properties.idleNodeShutdown),
            idle_pool_seconds=_seconds(properties.idlePoolShutdown),
            created=now,
        )
        entity.id, entity.name, entity.namespace, entity.createdTime = pool.id, pool.name, pool.namespace, now
        entity.status, entity.statusChangedTime = pool.status, now
        requirement.pool = pool
        self._store.add_pool(pool)
        _log.info("worker pool %s/%s (%s) was provisioned", pool.namespace, pool.name, pool.id)
        for instance in requirement.live.values():
            self._limit_boot(pool, instance)
        self._slots.touch(pool)
        return pool

    def grow(self, pool: PoolRecord, by: int) -> None:
        """Increase the target of a pool."""
        pool.target += by
        self.fill(pool)

    def resize(self, pool: PoolRecord, size: int) -> None:
        """Set the target at a user's request: within the pool's bounds, and only if no platform node is pending."""
        if pool.configured:
            raise InvalidRequest("A configured worker pool cannot be resized")
        if not pool.status.available:
            raise InvalidRequest(f"Worker pool '{pool.name}' cannot be resized: it is {pool.status}")
        if pool.pending_nodes:
            raise InvalidRequest(f"Worker pool '{pool.name}' cannot be resized while it is awaiting nodes")
        if not pool.min_nodes <= size <= pool.max_nodes:
            raise InvalidRequest(f"size must be between minNodes ({pool.min_nodes}) and maxNodes ({pool.max_nodes})")
        staying = [node for node in pool.nodes.values() if node.status.active and not node.draining]
        # Idle nodes first, and of those the newest; a node with tasks ends after them.
        staying.sort(key=lambda node: (node.claimed, -node.seq))
        for node in staying[: max(0, pool.target - size)]:
            self._nodes.shut_down(node)
        self.grow(pool, max(0, size - pool.target))

    def set_target(self, pool: PoolRecord, target: int) -> None:
        """Set the target of a pool to that of its requirement; surplus instances end at once, newest first."""
        alive = [instance for instance in pool.requirement.live.values() if instance.status.alive]
        for instance in alive[::-1][: max(0, pool.target - target)]:
            self._compute.terminate_instance(instance, "its compute requirement was made smaller")
        if target > pool.target:
            self.grow(pool, target - pool.target)

    def drop_missing(self, pool: PoolRecord) -> None:
        """Reduce the target to the instances that the sources have provided."""
        if pool.missing_instances:
            pool.target -= pool.missing_instances
            self._resize(pool)

    def fill(self, pool: PoolRecord) -> None:
        """Request the missing instances from the sources."""
        known = set(pool.requirement.live)
        self._resize(pool)
        self._compute.fill(pool.requirement)
        for instance_id, instance in pool.requirement.live.items():
            if instance_id not in known:
                self._limit_boot(pool, instance)
        self._slots.touch(pool)

    def shut_down(self, pool: PoolRecord) -> None:
        """Shut a pool down: executing tasks finish, then its requirement is terminated. Repeating it is harmless."""
        if pool.status.finished:
            return
        _log.info("worker pool %s/%s is shut down", pool.namespace, pool.name)
        self._move(pool, "shut down")
        if pool.idle_timer is not None:
            pool.idle_timer.cancel()
        for instance in tuple(pool.requirement.live.values()):
            if instance.node is None:
                self._compute.terminate_instance(instance, "its worker pool was shut down")
        for node in tuple(pool.nodes.values()):
            self._nodes.shut_down(node)
        self._events.pool_shut_down(pool)
        self._slots.touch(pool)

    def refresh(self, pool: PoolRecord) -> None:
        """Update the status of a pool after a change of its platform nodes, claims or requirement."""
        if pool.requirement.status in (ComputeRequirementStatus.TERMINATING, ComputeRequirementStatus.TERMINATED):
            self.shut_down(pool)
        if pool.status is _Status.SHUTDOWN:
            self._finish_shutdown(pool)
        elif pool.status.available:
            self._resize(pool)
            self._note_use(pool)
            self._watch_idleness(pool)

    def refresh_node(self, node: NodeRecord) -> None:
        """End a platform node that is shut down once it has no task, also if its task has never reached the agent."""
        if node.draining:
            self._nodes.end_if_drained(node)
        self._refresh_idle_timeout(node)

    def _refresh_idle_timeout(self, node: NodeRecord) -> None:
        """Start or cancel the timeout after which an idle platform node is shut down.

        It counts from registration or from the last claim. By default, a timeout of 0 spares a node before its first
        claim.
        """
        seconds = node.pool.idle_node_seconds
        idle = self._nodes.idle(node) and node.pool.status.available
        if not idle or seconds is None:
            _cancel(node)
        elif seconds == 0:
            if node.once_claimed or not self._kernel.settings.zero_idle_timeout_spares_unused:
                self._shut_idle_node(node)
        elif node.idle_timer is None:
            node.idle_timer = self._kernel.after(seconds, lambda: self._shut_idle_node(node))

    def shut_down_node(self, node: NodeRecord) -> None:
        """Shut a platform node down at a user's request."""
        ends = node.status.active and not node.draining
        if ends and not self._kernel.settings.replace_shut_down_nodes:
            node.pool.unreplaced += 1
        self._nodes.shut_down(node)

    def workers_per_node(self, pool: PoolRecord) -> int:
        """Number of workers of a new platform node, estimated from the pool's first one."""
        details = pool.first_node.entity.details if pool.first_node else None
        return worker_count(pool.properties.createNodeWorkers, details.vcpus or 1.0 if details else 1.0)

    def search(self, wanted: WorkerPoolSearch) -> list[PoolRecord]:
        """The pools that match a search."""
        return [pool for pool in self._store.pools.values() if search.pool_matches(pool, wanted)]

    def search_nodes(self, wanted: NodeSearch) -> list[NodeRecord]:
        """The platform nodes that match a search."""
        nodes = self._store.nodes
        if wanted.workerPoolId is not None:
            pool = self._store.pools.get(wanted.workerPoolId)
            nodes = pool.nodes if pool is not None else {}
        return [node for node in nodes.values() if search.node_matches(node, wanted)]

    def view(self, pool: PoolRecord) -> ProvisionedWorkerPool | ConfiguredWorkerPool:
        """A pool as the API returns it."""
        entity, changed = pool.entity, pool.changed.show()
        entity.expectedNodeCount = max(pool.awaited, pool.active_nodes) if pool.configured else pool.target
        entity.awaitingNodes = entity.expectedNodeCount > pool.active_nodes - pool.draining_nodes
        entity.workerSummary = WorkerSummary(
            statusCounts={status: count for status, count in pool.worker_counts.items() if count},
            claimedWorkerCount=pool.claimed,
            lastClaimedTime=pool.last_claimed,
            lastReleasedTime=pool.last_released,
            lastUpdatedTime=changed,
        )
        counts = {status: count for status, count in pool.node_counts.items() if count}
        queues = Counter(node.actions.status for node in pool.acting.values())
        if pool.active_nodes > len(pool.acting):
            queues[NodeActionQueueStatus.EMPTY] = pool.active_nodes - len(pool.acting)
        entity.nodeSummary = NodeSummary(statusCounts=counts, actionQueueStatuses=dict(queues), lastUpdatedTime=changed)
        return entity

    def summary(self, pool: PoolRecord) -> WorkerPoolSummary:
        """A pool as lists show it."""
        registered = sum(count for status, count in pool.worker_counts.items() if status.available)
        return WorkerPoolSummary(
            id=pool.id,
            name=pool.name,
            namespace=pool.namespace,
            type=pool.entity.type,
            registeredNodeCount=pool.active_nodes,
            registeredWorkerCount=registered,
            claimedWorkerCount=pool.claimed,
            workingWorkerCount=self._working(pool),
            status=pool.status,
            createdTime=pool.created,
            statusChangedTime=pool.entity.statusChangedTime,
            healthy=search.pool_healthy(pool),
        )

    def _working(self, pool: PoolRecord) -> int:
        if self._kernel.settings.allocated_workers_are_working:
            return pool.claimed
        tasks = (task for node in pool.nodes.values() for task in node.tasks)
        return sum(task.status is not TaskStatus.ALLOCATED for task in tasks)

    def _complete(
        self, usage: ComputeRequirementTemplateUsage, wanted: ProvisionedWorkerPoolProperties
    ) -> ProvisionedWorkerPoolProperties:
        settings = self._kernel.settings
        if wanted.nodeConfiguration is not None:
            raise NotCovered("A worker pool's nodeConfiguration")
        if wanted.minNodes is None:
            wanted.minNodes = settings.default_min_nodes
        if wanted.maxNodes is None:
            wanted.maxNodes = max(usage.targetInstanceCount, wanted.minNodes, settings.default_max_nodes)
        if settings.max_nodes_limit is not None and wanted.maxNodes > settings.max_nodes_limit:
            raise InvalidRequest(f"maxNodes must not be more than {settings.max_nodes_limit}")
        if not 0 <= wanted.minNodes <= usage.targetInstanceCount <= wanted.maxNodes:
            raise InvalidRequest(
                "minNodes, targetInstanceCount and maxNodes must be in ascending order, and not negative"
            )
        if not wanted.nodeBootTimeout:
            wanted.nodeBootTimeout = timedelta(seconds=settings.default_node_boot_timeout_seconds)
        wanted.idleNodeShutdown = wanted.idleNodeShutdown or AutoShutdown(settings.default_idle_node_shutdown)
        wanted.idlePoolShutdown = wanted.idlePoolShutdown or AutoShutdown(settings.default_idle_pool_shutdown)
        if wanted.createNodeWorkers is None:
            wanted.createNodeWorkers = NodeWorkerTarget.per_node(settings.default_workers_per_node)
        _check_workers(wanted.createNodeWorkers)
        return wanted

    def refuse_taken_name(self, namespace: str, name: str) -> None:
        """Refuse a name that an unfinished pool has."""
        existing = self._store.pools_by_name.get((namespace, name))
        reusable = self._kernel.settings.reuse_finished_names
        if existing is not None and not (existing.status.finished and reusable):
            raise AlreadyExists("Worker pool", namespace, name)

    def _limit_boot(self, pool: PoolRecord, instance: InstanceRecord) -> None:
        instance.boot_timer = self._kernel.after(pool.boot_timeout, lambda: self._boot_timed_out(instance))

    def _boot_timed_out(self, instance: InstanceRecord) -> None:
        if instance.node is None:
            self._compute.terminate_instance(instance, "it did not register within nodeBootTimeout")

    def _resize(self, pool: PoolRecord) -> None:
        self._compute.resize(pool.requirement, pool.wanted_instances)

    def _shut_idle_node(self, node: NodeRecord) -> None:
        _cancel(node)
        pool = node.pool
        if self._nodes.idle(node) and pool.active_nodes - pool.draining_nodes > pool.min_nodes:
            self._nodes.shut_down(node)

    def _watch_idleness(self, pool: PoolRecord) -> None:
        booting = any(source.counts[InstanceStatus.PENDING] for source in pool.requirement.sources)
        idle = not pool.claimed and not booting
        seconds = pool.idle_pool_seconds
        if not idle or seconds is None:
            if pool.idle_timer is not None:
                pool.idle_timer.cancel()
                pool.idle_timer = None
        elif seconds == 0:
            if pool.once_claimed or not self._kernel.settings.zero_idle_timeout_spares_unused:
                self.shut_down(pool)
        elif pool.idle_timer is None:
            pool.idle_timer = self._kernel.after(seconds, lambda: self.shut_down(pool))

    def _finish_shutdown(self, pool: PoolRecord) -> None:
        if pool.active_nodes == 0:
            self._compute.terminate(pool.requirement)
        if pool.active_nodes == 0 and pool.requirement.status is ComputeRequirementStatus.TERMINATED:
            _log.info("worker pool %s/%s has ended", pool.namespace, pool.name)
            self._move(pool, "end")
            self._store.open_pools.pop(pool.id, None)
            self._retention.of_pool(pool)

    def _note_use(self, pool: PoolRecord) -> None:
        if pool.claimed:
            self._move_unless(pool, "claim", _Status.RUNNING)
        elif pool.active_nodes:
            self._move_unless(pool, "idle", _Status.IDLE)
        elif pool.first_node:
            self._move_unless(pool, "empty", _Status.EMPTY)

    def _move_unless(self, pool: PoolRecord, event: PoolEvent, reached: WorkerPoolStatus) -> None:
        if pool.status is not reached:
            self._move(pool, event)

    def _move(self, pool: PoolRecord, event: PoolEvent) -> None:
        WORKER_POOL.move(pool, event)
        pool.entity.statusChangedTime = self._kernel.now()


def _cancel(node: NodeRecord) -> None:
    if node.idle_timer is not None:
        node.idle_timer.cancel()
        node.idle_timer = None


def _seconds(shutdown: AutoShutdown | None) -> float | None:
    if shutdown is None or not shutdown.enabled:
        return None
    return shutdown.timeout.total_seconds() if shutdown.timeout else 0.0


def _check_workers(target: NodeWorkerTarget) -> None:
    if target.targetType is NodeWorkerTargetType.CUSTOM:
        raise NotCovered("createNodeWorkers of type CUSTOM")
    if target.targetCount is None or target.targetCount <= 0:
        raise InvalidRequest("createNodeWorkers.targetCount must be positive")
