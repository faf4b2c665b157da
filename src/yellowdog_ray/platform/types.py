"""Plain records of requests to the platform and of its responses. No SDK, no Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum


class TaskPhase(Enum):
    """The phase of a task. It only moves forward: there are no retries."""

    WAITING = "waiting"
    ALLOCATED = "allocated"
    EXECUTING = "executing"
    ENDED = "ended"


_PHASES = {
    **dict.fromkeys(("PENDING", "READY"), TaskPhase.WAITING),
    **dict.fromkeys(("ALLOCATED", "DOWNLOADING"), TaskPhase.ALLOCATED),
    **dict.fromkeys(("EXECUTING", "UPLOADING"), TaskPhase.EXECUTING),
}

ENDED_BY_ITSELF = frozenset({"COMPLETED", "FAILED"})
"""Task statuses after an end that no user requested; the others are those of cancelled and aborted tasks."""


def phase_of(status: str) -> TaskPhase:
    """The phase that one of YellowDog's task statuses belongs to."""
    return _PHASES.get(status, TaskPhase.ENDED)


@dataclass(frozen=True)
class TaskView:
    """The fields of a YellowDog task that RayDog uses."""

    id: str
    name: str
    group_id: str
    executing: bool
    finished: bool
    status: str
    abort_requested: bool
    platform_node_id: str | None
    tags: Mapping[str, str]
    errors: tuple[str, ...] = ()
    ended: datetime | None = None
    started: datetime | None = None

    @property
    def phase(self) -> TaskPhase:
        """The phase that its status belongs to."""
        return phase_of(self.status)


@dataclass(frozen=True)
class MachineSize:
    """The size of a machine: vCPUs, memory (GiB), GPUs and the cloud's names for them. `gpus` is None if unknown."""

    vcpus: float
    ram: float
    gpus: int | None = None
    gpu_names: tuple[str, ...] = field(default=(), compare=False)


SPOT_NOTICES: dict[str | None, timedelta] = {
    "AWS": timedelta(seconds=120),
    "OCI": timedelta(seconds=120),
    "AZURE": timedelta(seconds=30),
    "GOOGLE": timedelta(seconds=30),
}
"""Time from notice to loss, by each provider's public documentation. YellowDog gives only the time of the notice."""

DEFAULT_SPOT_NOTICE = timedelta(seconds=120)


@dataclass(frozen=True)
class PlatformNodeView:
    """The fields of YellowDog's node (an instance with an agent) that RayDog uses.

    Attributes:
        instance_id: the cloud provider's id of the instance.
        provider: YellowDog's name of the cloud provider, such as `AWS`.
        spot_notice: time of the spot notice, or None.
        alive: whether its agent sends heartbeats.
        task_types: the types of task that its agent can run.
        slots: how many tasks it runs at once.
        size: the size that its agent reports.
        instance_type: the cloud provider's name of the machine's type.
        region: the cloud provider's region.
        spot: whether the machine is a spot one; None if the platform does not report it.
    """

    id: str
    pool_id: str
    instance_id: str
    private_ip: str | None
    public_ip: str | None
    provider: str | None = None
    spot_notice: datetime | None = None
    alive: bool = True
    task_types: tuple[str, ...] = ()
    slots: int = 1
    size: MachineSize | None = None
    instance_type: str | None = None
    region: str | None = None
    spot: bool | None = None
    status: str = ""
    status_changed: datetime | None = None

    @property
    def notice_period(self) -> timedelta:
        """Time from its spot notice to its loss, as its provider states it."""
        return SPOT_NOTICES.get(self.provider, DEFAULT_SPOT_NOTICE)


@dataclass(frozen=True)
class TaskSpec:
    """A task to submit: one node."""

    name: str
    script: str
    environment: dict[str, str]
    timeout: timedelta


@dataclass(frozen=True)
class Placement:
    """The platform nodes that may run a task group's tasks: each condition that is not empty must hold.

    Attributes:
        worker_tags: worker tags, one of which the pool must have.
        namespaces: namespaces, one of which the pool must be in.
        providers: cloud providers that the platform node may have; any if empty.
    """

    worker_tags: tuple[str, ...]
    namespaces: tuple[str, ...]
    providers: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskGroupSpec:
    """A task group to add: one node type.

    Attributes:
        worker_tag: the tag of the pool that serves this group; also the pool's name.
        task_timeout: how long its tasks may run.
        placement: where its tasks may run, if no pool of its own serves it but a configured one.
    """

    name: str
    worker_tag: str
    task_timeout: timedelta
    placement: Placement | None = None


@dataclass(frozen=True)
class Counts:
    """The platform's numbers of tasks of a group, by phase.

    Attributes:
        changed: when one of them last changed phase, by the platform's clock; None if the platform gives none.
    """

    at: Mapping[TaskPhase, int]
    changed: datetime | None = None

    @property
    def live(self) -> int:
        """The number of tasks that have not ended."""
        return sum(count for phase, count in self.at.items() if phase is not TaskPhase.ENDED)

    @property
    def ended(self) -> int:
        """The number of tasks that have ended; it never decreases."""
        return self.at.get(TaskPhase.ENDED, 0)


@dataclass(frozen=True)
class TaskGroupView:
    """The fields of a task group that RayDog uses. `counts` is None if the platform gives none."""

    id: str
    name: str
    worker_tag: str
    task_timeout: timedelta | None
    counts: Counts | None
    placement: Placement

    @property
    def configured(self) -> bool:
        """Whether a configured pool serves it, whose machines RayDog must not end, and no pool of its own."""
        return self.worker_tag not in self.placement.worker_tags


def oldest_first(created: datetime | None) -> tuple[bool, float]:
    """The place of a creation time in a sorted list: an unknown one first, then the oldest."""
    return created is not None, created.timestamp() if created else 0.0


@dataclass(frozen=True)
class WorkRequirementEntry:
    """A work requirement as a search lists it, without its task groups.

    Attributes:
        created: when it was created; None if the platform gives no time, which shows no age.
    """

    id: str
    name: str
    finished: bool
    created: datetime | None
    namespace: str = ""
    tag: str = ""


@dataclass(frozen=True)
class WorkRequirementView:
    """The fields of a work requirement (one incarnation of a cluster) that RayDog uses.

    Attributes:
        created: when it was created; None if the platform gives no time, which shows no age.
    """

    id: str
    name: str
    status: str
    finished: bool
    cancelling: bool
    created: datetime | None
    groups: tuple[TaskGroupView, ...]
    status_changed: datetime | None = None

    def group(self, name: str) -> TaskGroupView | None:
        """The task group of this name."""
        return next((group for group in self.groups if group.name == name), None)


@dataclass(frozen=True)
class PoolView:
    """The fields of a worker pool that RayDog uses.

    Attributes:
        configured: whether its machines join by themselves, instead of being provisioned.
        worker_tag: the tag by which task groups select the pool.
        max_nodes: the maximum number of its platform nodes; None if the platform gives none.
    """

    id: str
    name: str
    status: str
    finished: bool
    compute_requirement_id: str | None
    configured: bool = False
    namespace: str = ""
    worker_tag: str | None = None
    max_nodes: int | None = None


@dataclass(frozen=True)
class NamedEntry:
    """A worker pool or compute requirement as a search lists it."""

    id: str
    name: str


@dataclass(frozen=True)
class PoolEntry:
    """A worker pool as a search of several namespaces lists it.

    Attributes:
        created: when it was created; None if the platform gives no time, which shows no age.
        configured: whether its machines join by themselves, so that RayDog has not created it.
    """

    id: str
    namespace: str
    name: str
    status: str
    finished: bool
    created: datetime | None
    status_changed: datetime | None = None
    configured: bool = False


@dataclass(frozen=True)
class ComputeEntry:
    """A compute requirement as a search of several namespaces lists it.

    Attributes:
        created: when it was created; None if the platform gives no time, which shows no age.
        creator: the id of the user or application that created it; None if the platform gives none.
        instances: the numbers of live instances by status, as its sources count them.
        messages: the errors of its sources.
        exhausted: the states of sources whose allowance is used up.
    """

    id: str
    namespace: str
    name: str
    status: str
    finished: bool
    created: datetime | None
    creator: str | None = None
    instances: Mapping[str, int] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    status_changed: datetime | None = None
    exhausted: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComputeView:
    """The fields of a compute requirement that RayDog uses.

    Attributes:
        live_instances: how many live instances a search shows.
        messages: the errors of its sources.
        counted_instances: how many the compute requirement itself counts; one of the two may lag.
    """

    status: str
    finished: bool
    live_instances: int
    instance_statuses: tuple[str, ...] = ()
    messages: tuple[str, ...] = field(default=())
    counted_instances: int = 0
