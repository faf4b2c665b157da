"""How long what has ended can still be seen. Knows records and their places in the store; ends nothing itself."""

from __future__ import annotations

from datetime import timedelta

from yellowdog_client.model import InstanceStatus, TaskStatus

from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import InstanceRecord, NodeRecord, PoolRecord, TaskRecord
from yellowdog_local.state.store import Store

# Between looks whether a lost node's instance has ended meanwhile.
_LEAST_SECONDS = 1.0


class Retention:
    """Forgets what ended long enough ago. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store) -> None:
        self._kernel = kernel
        self._store = store

    def of_task(self, task: TaskRecord) -> None:
        """Forget a task that has finished: after its group's completedTaskTtl, if it completed, or in general."""
        times: list[float] = []
        ttl: timedelta | None = task.group.entity.completedTaskTtl
        if ttl is not None and task.status is TaskStatus.COMPLETED:
            times.append(ttl.total_seconds())
        if self._seconds is not None:
            times.append(self._seconds)
        if times:
            self._kernel.after(min(times), lambda: self._forget_task(task))

    def of_node(self, node: NodeRecord) -> None:
        """Forget a platform node that has ended, but not before its instance has."""
        if self._seconds is not None:
            self._kernel.after(max(self._seconds, _LEAST_SECONDS), lambda: self._forget_node(node))

    def of_instance(self, instance: InstanceRecord) -> None:
        """Forget an instance that was terminated; its source counts it as expired."""
        if self._seconds is not None:
            self._kernel.after(self._seconds, lambda: self._forget_instance(instance))

    def of_pool(self, pool: PoolRecord) -> None:
        """Forget a worker pool that was terminated."""
        if self._seconds is not None:
            self._kernel.after(self._seconds, lambda: self._forget_pool(pool))

    @property
    def _seconds(self) -> float | None:
        return self._kernel.settings.retention_seconds

    def _forget_task(self, task: TaskRecord) -> None:
        group = task.group
        self._store.tasks.pop(task.id, None)
        group.tasks.pop(task.id, None)
        group.by_status[task.status].pop(task.id, None)
        if not self._kernel.settings.count_expired_tasks:
            group.counts[task.status] -= 1
            group.last_updated.mark(self._kernel.now())

    def _forget_node(self, node: NodeRecord) -> None:
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

    def _forget_instance(self, instance: InstanceRecord) -> None:
        self._store.instances.pop(instance.id, None)
        instance.requirement.instances.pop(instance.id, None)
        instance.source.counts[instance.status] -= 1
        instance.source.expired += 1
        instance.source.changed.mark(self._kernel.now())

    def _forget_pool(self, pool: PoolRecord) -> None:
        self._store.pools.pop(pool.id, None)
        self._store.members.pop(pool.id, None)
        if self._store.pools_by_name.get((pool.namespace, pool.name)) is pool:
            del self._store.pools_by_name[pool.namespace, pool.name]
