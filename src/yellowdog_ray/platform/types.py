"""What the platform is asked for, and what it answers, in our own few words. Plain records; no SDK, no Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum


class TaskPhase(Enum):
    """How far a task has come. It only moves forward: there are no retries."""

    WAITING = "waiting"
    ALLOCATED = "allocated"
    EXECUTING = "executing"
    ENDED = "ended"


_PHASES = {
    **dict.fromkeys(("PENDING", "READY"), TaskPhase.WAITING),
    **dict.fromkeys(("ALLOCATED", "DOWNLOADING"), TaskPhase.ALLOCATED),
    **dict.fromkeys(("EXECUTING", "UPLOADING"), TaskPhase.EXECUTING),
}


def phase_of(status: str) -> TaskPhase:
    """The phase that one of YellowDog's task statuses belongs to."""
    return _PHASES.get(status, TaskPhase.ENDED)


@dataclass(frozen=True)
class TaskView:
    """What we need of a YellowDog task."""

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

    @property
    def phase(self) -> TaskPhase:
        """How far it has come."""
        return phase_of(self.status)


@dataclass(frozen=True)
class MachineSize:
    """What a machine has: vCPUs, memory (GiB), GPUs; of the last, None says that it is not known."""

    vcpus: float
    ram: float
    gpus: int | None = None


@dataclass(frozen=True)
class PlatformNodeView:
    """What we need of YellowDog's node: an instance with an agent.

    Attributes:
        instance_id: the cloud provider's id of the instance.
        provider: the cloud provider, in YellowDog's word for it, such as `AWS`.
        warned: when the agent heard that the instance will be taken away; None as long as it has not.
        alive: whether its agent is heard of.
        task_types: what its agent can run.
        slots: how many tasks it runs at once.
        size: what its agent says that it has.
    """

    id: str
    pool_id: str
    instance_id: str
    private_ip: str | None
    public_ip: str | None
    provider: str | None = None
    warned: datetime | None = None
    alive: bool = True
    task_types: tuple[str, ...] = ()
    slots: int = 1
    size: MachineSize | None = None


@dataclass(frozen=True)
class TaskSpec:
    """A task that is to be added: one node."""

    name: str
    script: str
    environment: dict[str, str]
    timeout: timedelta


@dataclass(frozen=True)
class Placement:
    """Which platform nodes may run a task group's tasks: each condition that is not empty must hold.

    Attributes:
        worker_tags: those of the pool, one of which it must have.
        namespaces: where the pool must be.
        providers: what the platform node must say of itself.
    """

    worker_tags: tuple[str, ...]
    namespaces: tuple[str, ...]
    providers: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskGroupSpec:
    """A task group that is to be made: one node type.

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
    """How many tasks of a group the platform counts at each phase.

    Attributes:
        changed: when one of them last changed phase, by the platform's clock; None if it does not say.
    """

    at: Mapping[TaskPhase, int]
    changed: datetime | None = None

    @property
    def live(self) -> int:
        """How many have not ended."""
        return sum(count for phase, count in self.at.items() if phase is not TaskPhase.ENDED)

    @property
    def ended(self) -> int:
        """How many have ended; never less than before."""
        return self.at.get(TaskPhase.ENDED, 0)


@dataclass(frozen=True)
class TaskGroupView:
    """What we need of a task group. `counts` is None where the platform does not say."""

    id: str
    name: str
    worker_tag: str
    task_timeout: timedelta | None
    counts: Counts | None
    placement: Placement

    @property
    def configured(self) -> bool:
        """Whether a configured pool serves it, whose machines are not ours to end; not a pool of its own."""
        return self.worker_tag not in self.placement.worker_tags


@dataclass(frozen=True)
class WorkRequirementView:
    """What we need of a work requirement: one incarnation of a cluster."""

    id: str
    name: str
    status: str
    finished: bool
    cancelling: bool
    created: datetime
    groups: tuple[TaskGroupView, ...]

    def group(self, name: str) -> TaskGroupView | None:
        """The task group of this name."""
        return next((group for group in self.groups if group.name == name), None)


@dataclass(frozen=True)
class PoolView:
    """What we need of a worker pool.

    Attributes:
        configured: whether its machines join by themselves, instead of being provisioned.
        worker_tag: what task groups name to have their tasks run there.
    """

    id: str
    name: str
    status: str
    finished: bool
    compute_requirement_id: str | None
    configured: bool = False
    namespace: str = ""
    worker_tag: str | None = None


@dataclass(frozen=True)
class ComputeView:
    """What we need of a compute requirement: whether anything is still paid for, and what its sources complain of."""

    status: str
    finished: bool
    live_instances: int
    instance_statuses: tuple[str, ...] = ()
    messages: tuple[str, ...] = field(default=())
