"""What holds of a local platform at every moment, whatever was done to it: found by counting one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from yellowdog_client.model import (
    ComputeRequirementStatus,
    InstanceStatus,
    NodeStatus,
    TaskStatus,
    WorkerPoolStatus,
    WorkerStatus,
)

from tests.simulation.exceptions import abort_seconds
from tests.simulation.lab import Lab
from yellowdog_local.compute.views import requirement_summary, requirement_view
from yellowdog_local.faults import AbortLost
from yellowdog_local.pools.matching import node_matches
from yellowdog_local.state.records import (
    GroupRecord,
    PoolRecord,
    RequirementRecord,
    TaskRecord,
    WorkerRecord,
    WorkRecord,
)

# The only ways out of what has ended, or has begun to.
_LAST_STEPS = {
    WorkerPoolStatus.SHUTDOWN: WorkerPoolStatus.TERMINATED,
    NodeStatus.DEREGISTERED: NodeStatus.TERMINATED,
    ComputeRequirementStatus.TERMINATING: ComputeRequirementStatus.TERMINATED,
    InstanceStatus.TERMINATING: InstanceStatus.TERMINATED,
}
_WITH_HOST = (InstanceStatus.PENDING, InstanceStatus.RUNNING)


def _ended(status: Any) -> bool:
    """Whether something of that status, of whatever kind, has ended or has begun to."""
    if isinstance(status, ComputeRequirementStatus):
        return status in (ComputeRequirementStatus.TERMINATING, ComputeRequirementStatus.TERMINATED)
    if isinstance(status, InstanceStatus):
        return not status.alive
    if isinstance(status, WorkerStatus):
        return not status.available
    if isinstance(status, NodeStatus):
        return status.gone
    return status.terminated if hasattr(status, "terminated") else status.finished


class _Remembered(dict[str, TaskRecord]):
    """The platform's tasks; a copy keeps what is taken out of it."""

    def __init__(self, copy: dict[str, TaskRecord], present: dict[str, TaskRecord]) -> None:
        super().__init__()
        self._copy = copy
        for task_id, task in present.items():
            self[task_id] = task

    def __setitem__(self, task_id: str, task: TaskRecord) -> None:
        self._copy[task_id] = task
        super().__setitem__(task_id, task)


class Witness:
    """Looks at one platform after every step, and remembers what it saw: what has ended may not come back.

    Attributes:
        aborts_get_lost: whether a rule that has been removed may have lost aborts.
    """

    aborts_get_lost = False

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._platform = lab.platform
        self._store = lab.platform.store
        self._last: dict[str, Any] = {}
        self._workers: dict[str, list[tuple[int, str]]] = {}  # by task: each attempt and its worker
        # Those included that the platform has forgotten, even those that it made and forgot between two looks.
        self._tasks: dict[str, TaskRecord] = {}
        self._store.tasks = _Remembered(self._tasks, self._store.tasks)

    def look(self) -> None:
        """Check everything."""
        with self._platform.locked():
            self._nothing_that_ended_changes()
            self._callers_see_the_status_that_counts()
            self._ids_are_unique()
            self._indexes_of_the_store_are_true()
            for work in self._store.works.values():
                self._work_is_counted(work)
            for group in self._store.groups.values():
                self._group_is_counted(group)
                self._ready_tasks_find_no_free_worker(group)
            for pool in self._store.pools.values():
                self._pool_is_counted(pool)
            for requirement in self._store.requirements.values():
                self._requirement_is_counted(requirement)
            for task in self._tasks.values():
                self._attempts_are_counted(task)
                self._task_and_worker_agree(task)
                self._an_abort_comes_through(task)
            for worker in self._store.workers.values():
                self._worker_and_task_agree(worker)
            self._hosts_are_those_of_live_instances()

    def tasks_of(self, work: WorkRecord) -> Iterator[TaskRecord]:
        """The tasks that a work requirement has ever had; the platform may have removed them."""
        return (task for task in self._tasks.values() if task.group.work is work)

    def nothing_is_alive(self) -> None:
        """Check that all has ended, and left nothing behind."""
        for record_id, status in self._statuses():
            assert _ended(status), f"{record_id} is {status}"
            assert status not in _LAST_STEPS, f"{record_id} is {status}"
        assert self._lab.hosts.instance_ids == []
        assert self._store.open_pools == {}
        assert self._store.groups_with_ready == {}
        assert self._store.instances_by_token == {}

    def _statuses(self) -> Iterator[tuple[str, Any]]:
        store = self._store
        records = (store.works, store.groups, self._tasks, store.pools, store.nodes, store.workers, store.instances)
        for kind in records:
            for record_id, record in kind.items():
                yield record_id, record.status  # type: ignore[attr-defined]
        for requirement in store.requirements.values():
            yield requirement.id, requirement.entity.status

    def _nothing_that_ended_changes(self) -> None:
        for record_id, status in self._statuses():
            before = self._last.get(record_id, status)
            if before is not status:
                assert not _ended(before) or _LAST_STEPS.get(before) is status, f"{record_id}: {before} became {status}"
            self._last[record_id] = status

    def _callers_see_the_status_that_counts(self) -> None:
        store = self._store
        for kind in (store.works, store.groups, store.tasks, store.pools, store.nodes, store.workers, store.instances):
            for record in kind.values():
                assert record.entity.status is record.status  # type: ignore[attr-defined]

    def _ids_are_unique(self) -> None:
        ids = [record_id for record_id, _ in self._statuses()]
        ids += [source.id for requirement in self._store.requirements.values() for source in requirement.sources]
        assert [record_id for record_id, count in Counter(ids).items() if count > 1] == []
        tokens = [instance.token for instance in self._store.instances.values()]
        assert len(set(tokens)) == len(tokens)

    def _indexes_of_the_store_are_true(self) -> None:
        store = self._store
        assert store.open_pools == {p.id: p for p in store.pools.values() if p.status is not _POOL_GONE}
        assert store.groups_with_ready.keys() == {g.id for g in store.groups.values() if g.ready}
        open_instances = {i.token: i for i in store.instances.values() if i.status is not InstanceStatus.TERMINATED}
        assert store.instances_by_token == open_instances

    def _work_is_counted(self, work: WorkRecord) -> None:
        tasks = [task for task in self._counted_tasks() if task.group.work is work]
        summary = self._platform.work.summary(work)
        assert summary.totalTaskCount == len(tasks)
        assert summary.completedTaskCount == sum(task.status is TaskStatus.COMPLETED for task in tasks)
        if work.status.finished:
            assert all(group.status.terminated for group in work.groups)

    def _counted_tasks(self) -> Iterable[TaskRecord]:
        """The tasks that counts include: those that the platform has removed too, unless a setting excludes them."""
        counts_expired = self._platform.settings.count_expired_tasks
        return self._tasks.values() if counts_expired else self._store.tasks.values()

    def _group_is_counted(self, group: GroupRecord) -> None:
        self._platform.work.view(group.work)
        tasks = [task for task in self._counted_tasks() if task.group is group]
        shown = group.entity.taskSummary
        assert shown is not None
        assert shown.statusCounts == Counter(task.status for task in tasks)
        assert shown.taskCount == len(tasks)
        assert group.unfinished == sum(not task.status.finished for task in tasks)
        for status in TaskStatus:
            having = {task.id for task in group.tasks.values() if task.status is status}
            assert {task.id for task in group.having(status)} == having, f"{group.id}: index of {status}"
        assert all(task.status is TaskStatus.READY for task in group.ready.values())
        assert group.claimed == {w for w in self._store.workers.values() if w.group is group}
        if group.status.terminated:
            assert group.unfinished == 0

    def _ready_tasks_find_no_free_worker(self, group: GroupRecord) -> None:
        limited = group.spec.minWorkers or group.spec.maxWorkers or group.spec.tasksPerWorker
        if group.ready and not limited and group.work.allocates and not group.status.terminating:
            pools = (pool for pool in self._store.open_pools.values() if pool.status.available)
            assert not any(node_matches(group, worker.node) for pool in pools for worker in pool.free.values())

    def _pool_is_counted(self, pool: PoolRecord) -> None:
        nodes = list(pool.nodes.values())
        workers = [worker for node in nodes for worker in node.workers]
        shown = self._platform.pools.view(pool)
        assert shown.nodeSummary is not None
        assert shown.workerSummary is not None
        assert shown.nodeSummary.statusCounts == Counter(node.status for node in nodes)
        assert shown.workerSummary.statusCounts == Counter(worker.status for worker in workers)
        assert shown.workerSummary.claimedWorkerCount == sum(worker.group is not None for worker in workers)
        summary = self._platform.pools.summary(pool)
        assert summary.registeredNodeCount == sum(node.status.active for node in nodes)
        assert summary.registeredWorkerCount == sum(worker.status.available for worker in workers)
        assert summary.workingWorkerCount == sum(worker.task is not None for worker in workers)
        assert pool.draining_nodes == sum(node.status.active and node.draining for node in nodes)
        assert pool.free.keys() == {worker.id for worker in workers if _can_take_a_task(worker)}
        lost = [node for node in nodes if node.status is NodeStatus.LOST and node.instance.status.alive]
        assert pool.stranded == len(lost)
        dead = [node for node in nodes if node.status.active and not node.instance.status.alive]
        assert pool.unnoticed == (0 if pool.configured else len(dead))
        if pool.status.available:
            assert pool.target <= pool.max_nodes

    def _requirement_is_counted(self, requirement: RequirementRecord) -> None:
        instances = list(requirement.instances.values())
        shown = requirement_view(requirement)
        alive = sum(instance.status.alive for instance in instances)
        for source in requirement.sources:
            of_source = [instance for instance in instances if instance.source is source]
            counted = source.entity.instanceSummary
            assert counted is not None
            assert counted.statusCounts == Counter(instance.status for instance in of_source)
            assert counted.totalCount == len(of_source) + source.expired
            assert counted.aliveCount == sum(instance.status.alive for instance in of_source)
        assert (shown.expectedInstanceCount, requirement_summary(requirement).aliveInstanceCount) == (alive, alive)
        live = {i.id for i in instances if i.status is not InstanceStatus.TERMINATED}
        assert requirement.live.keys() == live
        if _ended(requirement.entity.status):
            assert alive == 0
        if requirement.entity.status is ComputeRequirementStatus.TERMINATED:
            assert live == set()

    def _attempts_are_counted(self, task: TaskRecord) -> None:
        # Each time that a task leaves a worker it is another attempt; what failed it is an error of its own.
        seen = self._workers.setdefault(task.id, [])
        if task.worker is not None and (not seen or seen[-1][0] != task.attempt):
            seen.append((task.attempt, task.worker.id))
        if task.worker is not None:
            assert seen[-1] == (task.attempt, task.worker.id), f"{task.id} changed its worker within one attempt"
        retries = task.entity.retryCount or 0
        errors = task.entity.errors or []
        assert task.attempt >= retries
        assert len(errors) >= retries
        assert [error.causedFailure for error in errors[:retries]] == [False] * retries
        if task.status.finished and seen:
            assert task.attempt > seen[-1][0], f"{task.id} has finished in an attempt that still counts"

    def _task_and_worker_agree(self, task: TaskRecord) -> None:
        assert task.status.in_progress == (task.worker is not None), f"{task.id} is {task.status}"
        if task.worker is not None:
            assert task.worker.task is task
            assert task.entity.workerId == task.worker.id
            assert task.entity.nodeId == task.worker.node.id

    def _worker_and_task_agree(self, worker: WorkerRecord) -> None:
        assert (worker.task is None) == (worker.group is None)
        if worker.task is not None:
            assert worker.task.worker is worker
            assert worker.task.group is worker.group
            assert worker.entity.taskGroupId == worker.task.group.id
            assert worker.node.status.active

    def _an_abort_comes_through(self, task: TaskRecord) -> None:
        asked = task.entity.abortRequestedTime
        if task.status.finished or asked is None:
            return
        if self.aborts_get_lost or any(isinstance(one.rule, AbortLost) for one in self._platform.faults.rules()):
            return
        assert task.status.in_progress, f"{task.id} was aborted and is {task.status} again"
        host = self._lab.hosts._hosts.get(task.worker.node.instance.id) if task.worker else None
        if host is None or host.unplugged:
            return  # nobody is there who could end it
        slowness = float((task.entity.environment or {}).get("SIM_ABORT_SECONDS", "0"))
        patience = timedelta(seconds=slowness + abort_seconds(self._platform.settings))
        assert self._lab.clock.now() <= asked + patience, f"{task.id} outlives its abort"

    def _hosts_are_those_of_live_instances(self) -> None:
        live = {i.id for i in self._store.instances.values() if i.status in _WITH_HOST}
        wanted = live - self._platform.instances._hosts._never_booted.keys()
        configured = (pool for pool in self._store.pools.values() if pool.configured)
        machines = {node.instance.id for pool in configured for node in pool.nodes.values()}
        hosts = [host for host in self._lab.hosts.instance_ids if host not in machines]
        assert set(hosts) == wanted
        assert len(hosts) == len(wanted)


_POOL_GONE = WorkerPoolStatus.TERMINATED


def _can_take_a_task(worker: WorkerRecord) -> bool:
    node = worker.node
    reachable = node.status is NodeStatus.RUNNING and worker.status is WorkerStatus.STOPPED
    return reachable and worker.group is None and not (node.draining or node.warned)
