"""The platform's records: the SDK's own entities, each with the state that the API does not show. Imports no service.

Records keep their indexes and counts consistent and contain no other logic; services change them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from yellowdog_client.model import (
    BestComputeSourceReport,
    ComputeRequirement,
    ComputeRequirementStatus,
    ComputeSource,
    ConfiguredWorkerPool,
    Instance,
    InstanceStatus,
    Node,
    NodeAction,
    NodeActionQueueStatus,
    NodeStatus,
    ProvisionedWorkerPool,
    ProvisionedWorkerPoolProperties,
    RunSpecification,
    Task,
    TaskGroup,
    TaskGroupStatus,
    TaskStatus,
    Worker,
    WorkerPoolStatus,
    WorkerPoolToken,
    WorkerStatus,
    WorkRequirement,
    WorkRequirementStatus,
)

from yellowdog_local.state.change_time import ChangeTime
from yellowdog_local.state.clock import Timer


@dataclass(eq=False)
class WorkRecord:
    """A work requirement."""

    seq: int
    id: str
    entity: WorkRequirement
    created: datetime
    status: WorkRequirementStatus = WorkRequirementStatus.RUNNING
    groups: list[GroupRecord] = field(default_factory=list)
    groups_made: int = 0

    @property
    def accepts_work(self) -> bool:
        """Whether task groups and tasks may still be added."""
        return self.status in (WorkRequirementStatus.RUNNING, WorkRequirementStatus.HELD)

    @property
    def allocates(self) -> bool:
        """Whether waiting tasks may be allocated."""
        return self.status in (WorkRequirementStatus.RUNNING, WorkRequirementStatus.FINISHING)


@dataclass(eq=False)
class GroupRecord:
    """A task group, with its tasks by id, by name and by status."""

    seq: int
    id: str
    entity: TaskGroup
    work: WorkRecord
    status: TaskGroupStatus = TaskGroupStatus.PENDING
    tasks: dict[str, TaskRecord] = field(default_factory=dict)
    names: dict[str, TaskRecord] = field(default_factory=dict)
    by_status: dict[TaskStatus, dict[str, TaskRecord]] = field(default_factory=dict)
    counts: Counter[TaskStatus] = field(default_factory=Counter)
    tasks_made: int = 0
    claimed: set[WorkerRecord] = field(default_factory=set)
    last_updated: ChangeTime = field(default_factory=ChangeTime)

    @property
    def spec(self) -> RunSpecification:
        """The run specification of the group's tasks."""
        return self.entity.runSpecification

    @property
    def dependencies(self) -> set[str]:
        """The names of the task groups that this one depends on."""
        wanted = set(self.entity.dependencies or ())
        if self.entity.dependentOn:
            wanted.add(self.entity.dependentOn)
        return wanted

    @property
    def waiting_on_dependency(self) -> bool:
        """Whether a task group that this one depends on has not completed yet."""
        done = {g.entity.name for g in self.work.groups if g.status is TaskGroupStatus.COMPLETED}
        return not self.dependencies <= done

    @property
    def unfinished(self) -> int:
        """Number of tasks that have not finished."""
        return sum(count for status, count in self.counts.items() if not status.finished)

    @property
    def in_progress(self) -> list[TaskRecord]:
        """The tasks that are allocated to a worker."""
        return [task for status in TaskStatus if status.in_progress for task in self.having(status)]

    @property
    def waiting(self) -> list[TaskRecord]:
        """The tasks that wait for a worker."""
        return [task for status in TaskStatus if status.waiting for task in self.having(status)]

    @property
    def ready(self) -> dict[str, TaskRecord]:
        """The tasks that may be allocated, by id, in the order in which they became ready."""
        return self.by_status.get(TaskStatus.READY, {})

    def having(self, status: TaskStatus) -> Iterator[TaskRecord]:
        """The tasks of one status."""
        return iter(tuple(self.by_status.get(status, {}).values()))

    def index(self, task: TaskRecord, before: TaskStatus | None) -> None:
        """Update indexes and counts after a task was added or changed its status."""
        if before is not None:
            del self.by_status[before][task.id]
            self.counts[before] -= 1
        self.by_status.setdefault(task.status, {})[task.id] = task
        self.counts[task.status] += 1


@dataclass(eq=False)
class TaskRecord:
    """A task.

    `abort_error` is the reason of an abort that no user requested. `handed_over` is set once the task has been sent to
    the agent.
    """

    seq: int
    id: str
    entity: Task
    group: GroupRecord
    status: TaskStatus
    attempt: int = 0
    handed_over: bool = False
    worker: WorkerRecord | None = None
    deadline: Timer | None = None
    abort_error: str | None = None


@dataclass(eq=False)
class PoolRecord:
    """A worker pool; `target` is the number of platform nodes that it is to have.

    A configured pool has no target; `awaited` is the number of machines that its user expects to join. `stranded`
    instances have lost their platform node, `unnoticed` nodes their instance. `unreplaced` nodes were shut down by a
    user and are not to be replaced.
    """

    seq: int
    id: str
    entity: ProvisionedWorkerPool | ConfiguredWorkerPool
    namespace: str
    name: str
    requirement: RequirementRecord
    properties: ProvisionedWorkerPoolProperties
    target: int
    min_nodes: int
    max_nodes: int
    boot_timeout: float
    idle_node_seconds: float | None
    idle_pool_seconds: float | None
    created: datetime
    status: WorkerPoolStatus = WorkerPoolStatus.PENDING
    nodes: dict[str, NodeRecord] = field(default_factory=dict)
    acting: dict[str, NodeRecord] = field(default_factory=dict)
    free: dict[str, WorkerRecord] = field(default_factory=dict)
    node_counts: Counter[NodeStatus] = field(default_factory=Counter)
    worker_counts: Counter[WorkerStatus] = field(default_factory=Counter)
    active_nodes: int = 0
    draining_nodes: int = 0
    stranded: int = 0
    unnoticed: int = 0
    unreplaced: int = 0
    claimed: int = 0
    once_claimed: bool = False
    first_node: NodeRecord | None = None
    idle_timer: Timer | None = None
    configured: bool = False
    awaited: int = 0
    changed: ChangeTime = field(default_factory=ChangeTime)
    last_claimed: datetime | None = None
    last_released: datetime | None = None

    @property
    def pending_nodes(self) -> int:
        """Number of platform nodes in the target that have not registered."""
        return max(0, self.target - (self.active_nodes - self.draining_nodes))

    @property
    def missing_instances(self) -> int:
        """Number of wanted instances that no source has provided."""
        if self.configured:
            return 0
        return max(0, self.wanted_instances - self.requirement.alive)

    @property
    def wanted_instances(self) -> int:
        """Number of instances for the target, plus draining and stranded ones, minus undetected losses."""
        return max(0, self.target + self.draining_nodes + self.stranded - self.unnoticed)


@dataclass(eq=False)
class MembersRecord:
    """A configured pool's token and the machines that joined with it."""

    pool: PoolRecord
    token: WorkerPoolToken
    machines: dict[str, InstanceRecord] = field(default_factory=dict)


@dataclass
class ActionQueue:
    """The node actions of a platform node; a failure stops the queue."""

    waiting: list[NodeAction] = field(default_factory=list)
    executing: NodeAction | None = None
    failed: NodeAction | None = None
    begun: int = 0

    @property
    def status(self) -> NodeActionQueueStatus:
        """The status of the queue."""
        if self.failed is not None:
            return NodeActionQueueStatus.FAILED
        if self.executing is not None:
            return NodeActionQueueStatus.EXECUTING
        return NodeActionQueueStatus.WAITING if self.waiting else NodeActionQueueStatus.EMPTY


@dataclass(eq=False)
class NodeRecord:
    """A platform node: a registered agent on an instance; one that is `warned` gets no new tasks."""

    seq: int
    id: str
    entity: Node
    pool: PoolRecord
    instance: InstanceRecord
    status: NodeStatus = NodeStatus.RUNNING
    workers: list[WorkerRecord] = field(default_factory=list)
    actions: ActionQueue = field(default_factory=ActionQueue)
    once_claimed: bool = False
    draining: bool = False
    stranded: bool = False
    unnoticed: bool = False
    warned: bool = False
    idle_timer: Timer | None = None

    @property
    def claimed(self) -> bool:
        """Whether a task group claims any of its workers."""
        return any(worker.group is not None for worker in self.workers)

    @property
    def tasks(self) -> list[TaskRecord]:
        """The tasks that its workers have."""
        return [worker.task for worker in self.workers if worker.task is not None]


@dataclass(eq=False)
class WorkerRecord:
    """A YellowDog worker: a slot on a platform node, for one task at a time."""

    id: str
    entity: Worker
    node: NodeRecord
    slot: int
    status: WorkerStatus = WorkerStatus.STOPPED
    group: GroupRecord | None = None
    task: TaskRecord | None = None


@dataclass(eq=False)
class SourceRecord:
    """A source of a compute requirement, with counts of instances; `exhausted` after its cloud refused a request."""

    id: str
    entity: ComputeSource
    counts: Counter[InstanceStatus] = field(default_factory=Counter)
    requested: int = 0
    expired: int = 0
    exhausted: bool = False
    changed: ChangeTime = field(default_factory=ChangeTime)
    refresh: Timer | None = None

    @property
    def alive(self) -> int:
        """Number of instances that are running, booting or stopped."""
        return sum(count for status, count in self.counts.items() if status.alive)


@dataclass(eq=False)
class RequirementRecord:
    """A compute requirement, with its instances."""

    seq: int
    id: str
    entity: ComputeRequirement
    namespace: str
    name: str
    created: datetime
    sources: list[SourceRecord]
    status: ComputeRequirementStatus = ComputeRequirementStatus.NEW
    instances: dict[str, InstanceRecord] = field(default_factory=dict)
    live: dict[str, InstanceRecord] = field(default_factory=dict)
    pool: PoolRecord | None = None
    report: BestComputeSourceReport | None = None
    shutdown_timer: Timer | None = None
    refill_timer: Timer | None = None

    @property
    def alive(self) -> int:
        """Number of instances that are running, booting or stopped."""
        return sum(source.alive for source in self.sources)


@dataclass(eq=False)
class InstanceRecord:
    """An instance and its host; `token` authenticates its agent."""

    seq: int
    id: str
    entity: Instance
    requirement: RequirementRecord
    source: SourceRecord
    token: str
    status: InstanceStatus = InstanceStatus.PENDING
    node: NodeRecord | None = None
    boot_timer: Timer | None = None
    host_gone: bool = False
    shutdown_over: bool = False
