"""Claims of YellowDog workers by task groups, and the counts that pools show. Contains no scheduling rules."""

from __future__ import annotations

from typing import Literal

from yellowdog_client.model import NodeStatus, WorkerStatus

from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.lives import WORKER, WorkerEvent
from yellowdog_local.state.records import GroupRecord, NodeRecord, PoolRecord, TaskRecord, WorkerRecord


class Slots:
    """The claims of YellowDog workers. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        # The platform nodes and pools that the next pass checks for idleness.
        self.touched_nodes: dict[str, NodeRecord] = {}
        self.touched_pools: dict[str, PoolRecord] = {}

    def touch(self, pool: PoolRecord, node: NodeRecord | None = None) -> None:
        """Have the next pass check a pool, and a platform node of it."""
        self.touched_pools[pool.id] = pool
        pool.changed.mark(self._kernel.now())
        if node is not None:
            self.touched_nodes[node.id] = node
        self._kernel.want_pass()

    def add(self, worker: WorkerRecord) -> None:
        """Offer a new YellowDog worker if its platform node accepts tasks."""
        worker.node.workers.append(worker)
        worker.node.pool.worker_counts[worker.status] += 1
        self.offer(worker)

    def claim(self, worker: WorkerRecord, group: GroupRecord, task: TaskRecord) -> None:
        """Claim a free worker for a task of a task group."""
        pool = worker.node.pool
        del pool.free[worker.id]
        worker.group, worker.task = group, task
        worker.entity.taskGroupId = group.id
        group.claimed.add(worker)
        worker.node.once_claimed = pool.once_claimed = True
        pool.claimed += 1
        pool.last_claimed = self._kernel.now()
        self._move(worker, "claim")
        self.touch(pool, worker.node)

    def release(self, worker: WorkerRecord) -> None:
        """Release a worker from its task group, and offer it again if it can run tasks."""
        if worker.group is None:
            return
        pool = worker.node.pool
        worker.group.claimed.discard(worker)
        worker.group = worker.task = worker.entity.taskGroupId = None
        pool.claimed -= 1
        pool.last_released = self._kernel.now()
        if worker.status is WorkerStatus.RUNNING:
            self._move(worker, "release")
        self.offer(worker)
        self.touch(pool, worker.node)

    def offer(self, worker: WorkerRecord) -> None:
        """Offer a worker to task groups if it can run a task."""
        node = worker.node
        accepts_tasks = node.status is NodeStatus.RUNNING and not (node.draining or node.warned)
        if accepts_tasks and worker.group is None and worker.status is WorkerStatus.STOPPED:
            node.pool.free[worker.id] = worker

    def withdraw(self, worker: WorkerRecord, event: Literal["late", "lose", "shut down"]) -> None:
        """Stop offering a worker."""
        worker.node.pool.free.pop(worker.id, None)
        self._move(worker, event)

    def recover(self, worker: WorkerRecord) -> None:
        """Bring back a worker whose platform node is no longer late, and offer it again."""
        if worker.status is WorkerStatus.LATE:
            self._move(worker, "recover claimed" if worker.group else "recover")
        self.offer(worker)

    def _move(self, worker: WorkerRecord, event: WorkerEvent) -> None:
        counts = worker.node.pool.worker_counts
        counts[WORKER.move(worker, event)] -= 1
        counts[worker.status] += 1
