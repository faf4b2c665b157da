"""Removal of ended records after the retention time. Changes no status; imports no service."""

from __future__ import annotations

from datetime import timedelta

from yellowdog_client.model import InstanceStatus, TaskStatus

from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import InstanceRecord, NodeRecord, PoolRecord, TaskRecord
from yellowdog_local.state.store import Store

# Interval between checks whether the instance of a removed node has ended.
_CHECK_SECONDS = 1.0


class Retention:
    """Removes ended records when their time is over. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store) -> None:
        self._kernel = kernel
        self._store = store

    def of_task(self, task: TaskRecord) -> None:
        """Remove a finished task later: after its group's completedTaskTtl, if it completed, or the retention time."""
        times: list[float] = []
        ttl: timedelta | None = task.group.entity.completedTaskTtl
        if ttl is not None and task.status is TaskStatus.COMPLETED:
            times.append(ttl.total_seconds())
        if self._seconds is not None:
            times.append(self._seconds)
        if times:
            self._kernel.after(min(times), lambda: self._remove_task(task))

    def of_node(self, node: NodeRecord) -> None:
        """Remove an ended platform node later, and not before its instance has ended."""
        if self._seconds is not None:
            self._kernel.after(max(self._seconds, _CHECK_SECONDS), lambda: self._remove_node(node))

    def of_instance(self, instance: InstanceRecord) -> None:
        """Remove a terminated instance later; its source counts it as expired."""
        if self._seconds is not None:
            self._kernel.after(self._seconds, lambda: self._remove_instance(instance))

    def of_pool(self, pool: PoolRecord) -> None:
        """Remove a terminated worker pool later."""
        if self._seconds is not None:
            self._kernel.after(self._seconds, lambda: self._remove_pool(pool))

    @property
    def _seconds(self) -> float | None:
        return self._kernel.settings.retention_seconds

    def _remove_task(self, task: TaskRecord) -> None:
        group = task.group
        self._store.tasks.pop(task.id, None)
        group.tasks.pop(task.id, None)
        group.by_status[task.status].pop(task.id, None)
        if not self._kernel.settings.count_expired_tasks:
            group.counts[task.status] -= 1
            group.last_updated.mark(self._kernel.now())

    def _remove_node(self, node: NodeRecord) -> None:
        if node.instance.status is not InstanceStatus.TERMINATED:
            self.of_node(node)
            return
        pool = node.pool
        self._store.nodes.pop(node.id, None)
        pool.nodes.pop(node.id, None)
        pool.node_counts[node.status] -= 1
        for worker in node.workers:
            self._store.workers.pop(worker.id, None)
            pool.worker_counts[worker.status] -= 1
        pool.changed.mark(self._kernel.now())

    def _remove_instance(self, instance: InstanceRecord) -> None:
        self._store.instances.pop(instance.id, None)
        instance.requirement.instances.pop(instance.id, None)
        instance.source.counts[instance.status] -= 1
        instance.source.expired += 1
        instance.source.changed.mark(self._kernel.now())

    def _remove_pool(self, pool: PoolRecord) -> None:
        self._store.pools.pop(pool.id, None)
        self._store.members.pop(pool.id, None)
        if self._store.pools_by_name.get((pool.namespace, pool.name)) is pool:
            del self._store.pools_by_name[pool.namespace, pool.name]
