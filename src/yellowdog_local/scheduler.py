"""The scheduler: allocates waiting tasks to free YellowDog workers, and scales up pools for tasks without one.

A pass runs after a change. Autoscaling runs an interval later, and again each interval only while it has an effect.
A platform without changes uses no time, whatever the number of waiting tasks and idle platform nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice

from yellowdog_client.model import TaskGroupStatus

from yellowdog_local.account.policies import Policies
from yellowdog_local.pools.matching import node_matches, pool_matches, pool_rank, worker_rank
from yellowdog_local.pools.provisioned import Pools
from yellowdog_local.state.clock import Timer
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import GroupRecord, PoolRecord, TaskRecord, WorkerRecord
from yellowdog_local.state.slots import Slots
from yellowdog_local.state.store import Store
from yellowdog_local.work.requirements import Work
from yellowdog_local.work.tasks import Tasks


class Scheduler:
    """Allocation and autoscaling. Every method is called under the platform's lock."""

    def __init__(
        self, kernel: Kernel, store: Store, slots: Slots, tasks: Tasks, work: Work, pools: Pools, policies: Policies
    ) -> None:
        self._kernel = kernel
        self._store = store
        self._slots = slots
        self._tasks = tasks
        self._work = work
        self._pools = pools
        self._policies = policies
        self._autoscale_timer: Timer | None = None

    def run_pass(self) -> None:
        """Process everything that has changed since the last pass; the kernel calls again if that changes more."""
        # Task groups end before allocation, so that discarded tasks do not start. Idleness is checked after allocation,
        # so that a worker between two tasks is never idle.
        self._refresh_groups()
        for group in self._by_priority():
            self._allocate(group)
        self._refresh_groups()
        self._refresh_nodes()
        self._refresh_pools()
        self._arm_autoscaling()

    def pool_shut_down(self, pool: PoolRecord) -> None:
        """If a setting requires it, cancel the waiting tasks that only this pool could have run."""
        if not self._kernel.settings.cancel_waiting_tasks_at_pool_shutdown:
            return
        others = [p for p in self._store.open_pools.values() if p is not pool and p.status.available]
        for group in tuple(self._store.groups_with_ready.values()):
            if pool_matches(group, pool) and not any(pool_matches(group, other) for other in others):
                for task in group.waiting:
                    self._tasks.cancel(task, abort=False)

    def _by_priority(self) -> list[GroupRecord]:
        groups = [group for group in self._store.groups_with_ready.values() if _allocates(group)]
        return sorted(groups, key=lambda g: (-g.work.entity.priority, -g.entity.priority, g.seq))

    def _allocate(self, group: GroupRecord) -> None:
        room = _claims_left(group)
        if room <= 0:
            return
        minimum = group.spec.minWorkers or 0
        workers = list(islice(self._free_workers(group), max(room, minimum)))
        if group.status is TaskGroupStatus.PENDING and len(workers) < minimum:
            # A group starts with its minimum of workers or not at all.
            return
        ready = list(islice(group.ready.values(), min(room, len(workers))))
        pairs = list(zip(ready, workers))  # noqa: B905  there may be more workers than tasks
        if not self._kernel.settings.retry_on_same_worker:
            pairs = list(islice(_apart(group.ready.values(), self._free_workers(group)), room))
        for task, worker in pairs:
            self._tasks.allocate(task, worker)

    def _free_workers(self, group: GroupRecord) -> Iterator[WorkerRecord]:
        """The free workers that a task group may claim, in the order of its preference."""
        if group.spec.instancePricingPreference is None:
            return self._matching_workers(group)
        return iter(sorted(self._matching_workers(group), key=lambda worker: worker_rank(group, worker.node)))

    def _matching_workers(self, group: GroupRecord) -> Iterator[WorkerRecord]:
        for pool in self._available_pools():
            for worker in pool.free.values():
                if node_matches(group, worker.node):
                    yield worker

    def _available_pools(self) -> list[PoolRecord]:
        return [pool for pool in self._store.open_pools.values() if pool.status.available]

    def _refresh_groups(self) -> None:
        touched, self._tasks.touched_groups = self._tasks.touched_groups, {}
        for group in touched.values():
            self._work.refresh(group)

    def _refresh_nodes(self) -> None:
        touched, self._slots.touched_nodes = self._slots.touched_nodes, {}
        for node in touched.values():
            self._pools.refresh_node(node)

    def _refresh_pools(self) -> None:
        touched, self._slots.touched_pools = self._slots.touched_pools, {}
        for pool in touched.values():
            self._pools.refresh(pool)

    def _arm_autoscaling(self) -> None:
        if self._autoscale_timer is not None or not self._something_to_scale():
            return
        interval = self._kernel.settings.autoscale_interval_seconds
        self._autoscale_timer = self._kernel.after(interval, self._autoscale_and_rearm)

    def _something_to_scale(self) -> bool:
        pools = self._available_pools()
        if any(pool.missing_instances or pool.target < pool.min_nodes for pool in pools):
            return True
        return bool(pools) and any(_allocates(group) for group in self._store.groups_with_ready.values())

    def _autoscale_and_rearm(self) -> None:
        self._autoscale_timer = None
        # A run without an effect has none until a change, and every change leads to a pass.
        if self._autoscale():
            self._kernel.want_pass()

    def _autoscale(self) -> bool:
        """Scale every pool; returns whether that had an effect."""
        pools = self._available_pools()
        wanted = {pool.id: 0 for pool in pools}
        room = {pool.namespace: self._policies.room(pool.namespace) for pool in pools}
        counts = self._kernel.settings.autoscale_counts_booting_nodes
        coming = {pool.id: pool.pending_nodes * self._pools.workers_per_node(pool) if counts else 0 for pool in pools}
        for group in self._by_priority():
            self._demand(group, pools, coming, wanted, room)
        scaled = [self._scale(pool, wanted[pool.id], idle_capacity=coming[pool.id]) for pool in pools]
        return any(scaled)

    def _demand(
        self,
        group: GroupRecord,
        pools: list[PoolRecord],
        coming: dict[str, int],
        wanted: dict[str, int],
        of_namespace: dict[str, int | None],
    ) -> None:
        demand = min(len(group.ready), _claims_left(group))
        matching = [pool for pool in pools if pool_matches(group, pool)]
        matching.sort(key=lambda pool: pool_rank(group, pool))
        shared = self._kernel.settings.autoscale_shares_demand
        for together in [matching] if shared else [[pool] for pool in matching]:
            self._meet(demand, together, coming, wanted, of_namespace)

    def _meet(
        self,
        demand: int,
        pools: list[PoolRecord],
        coming: dict[str, int],
        wanted: dict[str, int],
        of_namespace: dict[str, int | None],
    ) -> None:
        for pool in pools:
            taken = min(demand, coming[pool.id])
            coming[pool.id] -= taken
            demand -= taken
        for pool in pools:
            per_node = self._pools.workers_per_node(pool)
            room = max(0, pool.max_nodes - pool.unreplaced - pool.target - pool.draining_nodes - wanted[pool.id])
            left = of_namespace[pool.namespace]
            more = min(math.ceil(demand / per_node), room, room if left is None else left)
            if left is not None:
                of_namespace[pool.namespace] = left - more
            taken = min(demand, more * per_node)
            wanted[pool.id] += more
            coming[pool.id] += more * per_node - taken
            demand -= taken

    def _scale(self, pool: PoolRecord, more: int, *, idle_capacity: int) -> bool:
        below_minimum = max(0, pool.min_nodes - pool.target)
        if more or below_minimum:
            self._pools.grow(pool, max(more, below_minimum))
            return True
        if pool.missing_instances:
            if idle_capacity >= pool.pending_nodes * self._pools.workers_per_node(pool):
                # No task waits for the instances that the sources could not provide.
                self._pools.drop_missing(pool)
            else:
                self._pools.fill(pool)
            return True
        return False


def _allocates(group: GroupRecord) -> bool:
    active = group.status in (TaskGroupStatus.PENDING, TaskGroupStatus.RUNNING, TaskGroupStatus.FINISHING)
    return active and group.work.allocates


def _apart(tasks: Iterable[TaskRecord], workers: Iterable[WorkerRecord]) -> Iterator[tuple[TaskRecord, WorkerRecord]]:
    """Pairs of tasks and workers; no task gets the worker on which it failed last."""
    left = list(workers)
    for task in tasks:
        errors = task.entity.errors
        last = errors[-1].workerId if errors else None
        worker = next((worker for worker in left if worker.id != last), None)
        if worker is not None:
            left.remove(worker)
            yield task, worker


def _claims_left(group: GroupRecord) -> int:
    """Number of further workers that a task group may claim."""
    spec = group.spec
    most = len(group.ready) + len(group.claimed)
    if spec.maxWorkers is not None:
        most = min(most, spec.maxWorkers)
    if spec.tasksPerWorker:
        most = min(most, math.ceil(group.unfinished / spec.tasksPerWorker))
    return most - len(group.claimed)
