"""Converts the SDK's entities to views, and specs to entities. Makes no call.

Conversions run outside `sdk_errors`: an exception here is a mistake of ours, except `MalformedResponse`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import TypeVar

from yellowdog_client.model import (
    CloudProvider,
    ComputeRequirement,
    ComputeRequirementStatus,
    ComputeRequirementSummary,
    ConfiguredWorkerPool,
    Instance,
    InstanceId,
    InstanceStatus,
    Node,
    NodeDetails,
    NodeStatus,
    ProvisionedWorkerPool,
    RunSpecification,
    Task,
    TaskGroup,
    TaskStatus,
    TaskSummary,
    Worker,
    WorkerPoolStatus,
    WorkerPoolSummary,
    WorkRequirement,
    WorkRequirementStatus,
    WorkRequirementSummary,
)

from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.node.variables import CLOUD_INSTANCE_ID, NODE_TAGS
from yellowdog_ray.platform.calls import entity
from yellowdog_ray.platform.errors import malformed
from yellowdog_ray.platform.types import (
    ComputeEntry,
    Counts,
    MachineSize,
    NamedEntry,
    Placement,
    PlatformNodeView,
    PoolEntry,
    PoolView,
    TaskGroupSpec,
    TaskGroupView,
    TaskPhase,
    TaskSpec,
    TaskView,
    TemplateSource,
    WorkRequirementEntry,
    WorkRequirementView,
    phase_of,
)
from yellowdog_ray.platform.values import duration, first_of, moment, size, word_of

TASK_TYPE = "bash"
"""The type of every task; a platform node that runs one must offer it."""

LIVE_NODES = [NodeStatus.RUNNING, NodeStatus.LATE]
ENDED_POOLS = (WorkerPoolStatus.SHUTDOWN, WorkerPoolStatus.TERMINATED)
_NO_OBJECTS = (str, int, float, list)
"""What the SDK makes of JSON that is no object."""

T = TypeVar("T")


def task_group_entity(spec: TaskGroupSpec, namespace: str) -> TaskGroup:
    """The entity of a task group to add."""
    placement = spec.placement or Placement((spec.worker_tag,), (namespace,))
    return TaskGroup(
        name=spec.name,
        # Identifies the group, also where no pool of its own has that name.
        tag=spec.worker_tag,
        runSpecification=RunSpecification(
            taskTypes=[TASK_TYPE],
            maximumTaskRetries=0,
            taskTimeout=spec.task_timeout,
            workerTags=list(placement.worker_tags) or None,
            namespaces=list(placement.namespaces) or None,
            providers=[CloudProvider[word] for word in placement.providers] or None,
        ),
        # Nodes are launched and terminated until the cluster is torn down.
        finishIfAllTasksFinished=False,
        finishIfAnyTaskFailed=False,
    )


def task_entity(spec: TaskSpec) -> Task:
    """The entity of a task to submit."""
    return Task(
        name=spec.name,
        taskType=TASK_TYPE,
        arguments=["taskdata.txt"],
        taskData=spec.script,
        environment=spec.environment,
        timeout=spec.timeout,
    )


def work_view(requirement: WorkRequirement) -> WorkRequirementView:
    """The view of a work requirement."""
    status = requirement.status
    groups = map(_group_view, _parts(requirement.taskGroups, TaskGroup, "task groups"))
    return WorkRequirementView(
        id=identified(requirement.id, "a work requirement"),
        name=requirement.name,
        status=word_of(status),
        finished=is_finished(status),
        cancelling=status is WorkRequirementStatus.CANCELLING,
        created=moment(requirement.createdTime),
        # Readers find the head's group at the front; nothing promises the platform's order.
        groups=tuple(sorted(groups, key=lambda group: group.name != HEAD_GROUP)),
        status_changed=moment(requirement.statusChangedTime),
    )


def work_entry(summary: WorkRequirementSummary) -> WorkRequirementEntry:
    """The entry of a work requirement in a search's list."""
    subject = "a listed work requirement"
    return WorkRequirementEntry(
        id=identified(summary.id, subject),
        name=identified(summary.name, subject),
        finished=is_finished(summary.status),
        created=moment(summary.createdTime),
        namespace=identified(summary.namespace, subject),
        tag=summary.tag or "",
    )


def _group_view(group: TaskGroup) -> TaskGroupView:
    spec = entity(group.runSpecification, RunSpecification, "a task group")
    placement = Placement(
        tuple(spec.workerTags or ()), tuple(spec.namespaces or ()), tuple(map(word_of, spec.providers or ()))
    )
    return TaskGroupView(
        id=identified(group.id, "a task group"),
        name=group.name,
        worker_tag=group.tag or "",  # one without a tag is none of RayDog's
        task_timeout=duration(spec.taskTimeout),
        counts=_counts(group.taskSummary),
        placement=placement,
    )


def _counts(summary: TaskSummary | None) -> Counts | None:
    if summary is None or (not summary.statusCounts and summary.taskCount):
        return None
    if summary.statusCounts is None and summary.lastUpdatedTime is None:
        return None  # nothing of it was in the answer: the SDK's 0 tasks are its default
    at: Counter[TaskPhase] = Counter()
    for status, count in (summary.statusCounts or {}).items():
        at[phase_of(word_of(status))] += entity(count, int, "the counts of a task group")
    return Counts(at, moment(summary.lastUpdatedTime))


def task_view(task: Task) -> TaskView:
    """The view of a task."""
    status = task.status or TaskStatus.PENDING
    return TaskView(
        id=identified(task.id, "a task"),
        name=str(task.name),
        group_id=str(task.taskGroupId),
        executing=status in (TaskStatus.EXECUTING, TaskStatus.UPLOADING),
        finished=status.finished,
        status=word_of(status),
        abort_requested=task.abortRequestedTime is not None,
        platform_node_id=task.nodeId,
        tags=_node_tags(task),
        errors=tuple(text for _, text in task_errors(task)),
        ended=moment(task.finishedTime),
        started=moment(task.startedTime),
    )


def _node_tags(task: Task) -> dict[str, str]:
    """The node's tags. Empty for a task that is no node of ours: submitted by hand, or copied and thus renamed."""
    environment = task.environment or {}
    if environment.get(CLOUD_INSTANCE_ID) != task.name:
        return {}
    try:
        tags = json.loads(environment.get(NODE_TAGS, "{}"))
    except (ValueError, RecursionError):
        return {}
    is_tags = isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values())
    return tags if is_tags else {}


def task_errors(task: Task) -> list[tuple[datetime | None, str]]:
    """Time and text of each error. The SDK does not convert one that is no object."""
    errors: object = task.errors or []
    listed = errors if isinstance(errors, list) else [errors]
    return [(moment(getattr(error, "timestamp", None)), _text_of(error)) for error in listed if error is not None]


def _text_of(error: object) -> str:
    if isinstance(error, (*_NO_OBJECTS, dict)):
        return str(error)
    kind, text = getattr(error, "errorType", None), getattr(error, "error", "")
    exit_code = getattr(error, "processExitCode", None)
    return f"{word_of(kind)}: {text}" + (f" (exit code {exit_code})" if exit_code is not None else "")


def platform_node_view(node: Node) -> PlatformNodeView:
    """The view of a platform node."""
    details = node.details
    return PlatformNodeView(
        id=identified(node.id, "a platform node"),
        pool_id=str(node.workerPoolId),
        instance_id=details.instanceId if details else "",
        private_ip=details.privateIpAddress if details else None,
        public_ip=details.publicIpAddress if details else None,
        provider=word_of(details.provider) if details and details.provider else None,
        spot_notice=moment(node.preemptionWarningTime),
        alive=node.status in LIVE_NODES,
        task_types=tuple(details.supportedTaskTypes or ()) if details else (),
        size=_size(details),
        slots=sum(
            worker.status is None or worker.status.available
            for worker in _parts(node.workers, Worker, "the workers of a platform node")
        ),
        instance_type=details.instanceType if details else None,
        region=details.region if details else None,
        spot=details.spot if details else None,
        status=word_of(node.status) if node.status else "",
        status_changed=moment(node.statusChangedTime),
    )


def _size(details: NodeDetails | None) -> MachineSize | None:
    vcpus, ram = size(getattr(details, "vcpus", None)), size(getattr(details, "ram", None))
    return MachineSize(vcpus, ram) if vcpus and ram else None


def pool_view(pool: object) -> PoolView:
    """The view of a worker pool.

    Raises:
        MalformedResponse: it is neither a provisioned nor a configured pool.
    """
    if not isinstance(pool, (ProvisionedWorkerPool, ConfiguredWorkerPool)):
        raise malformed(f"{type(pool).__name__} in place of a worker pool")
    status = pool.status
    return PoolView(
        id=identified(pool.id, "a worker pool"),
        name=str(pool.name),
        status=word_of(status),
        finished=status in ENDED_POOLS,
        compute_requirement_id=pool.computeRequirementId if isinstance(pool, ProvisionedWorkerPool) else None,
        configured=isinstance(pool, ConfiguredWorkerPool),
        namespace=str(pool.namespace),
        worker_tag=(pool.properties.workerTag or None) if pool.properties else None,
        max_nodes=getattr(pool.properties, "maxNodes", None) or None,  # a configured pool has none
    )


def named_entry(listed: WorkerPoolSummary | ComputeRequirementSummary) -> NamedEntry:
    """The entry of a worker pool or compute requirement in a search's list."""
    subject = f"a listed {type(listed).__name__}"
    return NamedEntry(identified(listed.id, subject), identified(listed.name, subject))


def pool_entry(pool: WorkerPoolSummary) -> PoolEntry:
    """The entry of a worker pool in a search of several namespaces."""
    subject = "a listed worker pool"
    return PoolEntry(
        id=identified(pool.id, subject),
        namespace=identified(pool.namespace, subject),
        name=identified(pool.name, subject),
        status=word_of(pool.status),
        finished=pool.status in ENDED_POOLS,
        created=moment(pool.createdTime),
        configured=word_of(pool.type).endswith(ConfiguredWorkerPool.__name__),
        status_changed=moment(pool.statusChangedTime),
    )


def compute_entry(requirement: ComputeRequirement) -> ComputeEntry:
    """The entry of a compute requirement in a search of several namespaces."""
    return ComputeEntry(
        id=identified(requirement.id, "a compute requirement"),
        namespace=requirement.namespace,
        name=requirement.name,
        status=word_of(requirement.status),
        finished=requirement.status is ComputeRequirementStatus.TERMINATED,
        created=moment(requirement.createdTime),
        creator=requirement.createdById,
        instances=live_instances(requirement),
        messages=source_messages(requirement),
        status_changed=moment(requirement.statusChangedTime),
        exhausted=_exhausted_sources(requirement),
    )


def live_instances(requirement: ComputeRequirement) -> dict[str, int]:
    """The numbers of instances that have not ended, by status, as the sources of a compute requirement count them."""
    statuses = [status for status in InstanceStatus if status is not InstanceStatus.TERMINATED]
    counts = {word_of(status): counted_instances(requirement, [status]) for status in statuses}
    return {status: count for status, count in counts.items() if count}


def instance_id_of(instance: Instance) -> InstanceId | None:
    """An instance's id, or None where the platform gives none."""
    return getattr(instance, "id", None)  # the SDK omits attributes that an unknown kind of instance lacks


def source_messages(requirement: ComputeRequirement) -> tuple[str, ...]:
    """The errors that the sources of a compute requirement report."""
    messages = (getattr(source, "statusMessage", None) for source in sources_of(requirement))
    return tuple(str(message) for message in messages if message)


def _exhausted_sources(requirement: ComputeRequirement) -> tuple[str, ...]:
    """Name and state of each source whose allowance is used up."""
    found = [(getattr(source, "name", None), getattr(source, "exhaustion", None)) for source in sources_of(requirement)]
    states = [(name, getattr(exhaustion, "status", None)) for name, exhaustion in found]
    return tuple(f"source {name}: {word_of(status)}" for name, status in states if status is not None)


def sources_of(requirement: ComputeRequirement | None) -> list[object]:
    """The sources of a compute requirement. Each kind has its own class, and an unknown kind may lack attributes.

    Raises:
        MalformedResponse: one of them is no object.
    """
    strategy = getattr(requirement, "provisionStrategy", None)
    sources = _parts(getattr(strategy, "sources", None), object, "the sources of a compute requirement")
    if any(source is None or isinstance(source, _NO_OBJECTS) for source in sources):
        raise malformed("the sources of a compute requirement: a source that is no object")
    return sources


def template_source(source: object) -> TemplateSource:
    """The machines of a source. Each cloud has its own names for the same things."""
    provider = getattr(source, "provider", None)
    return TemplateSource(
        provider=word_of(provider) if provider else None,
        instance_type=first_of(source, "instanceType", "machineType", "vmSize", "shape"),
        region=first_of(source, "region"),
        zone=first_of(source, "availabilityZone", "zone", "availabilityDomain"),
        spot=_is_spot(source),
    )


def _is_spot(source: object) -> bool | None:
    pricing = getattr(source, "instancePricing", None)
    if pricing is not None:
        return {"SPOT_ONLY": True, "ON_DEMAND_ONLY": False}.get(word_of(pricing))
    flags = [getattr(source, name) for name in ("spot", "useSpot", "preemptible") if hasattr(source, name)]
    return any(flags) if flags else None


def counted_instances(requirement: ComputeRequirement, statuses: Collection[InstanceStatus]) -> int:
    """How many instances of these statuses the sources of a compute requirement count."""
    summaries = [getattr(source, "instanceSummary", None) for source in sources_of(requirement)]
    counts = [getattr(summary, "statusCounts", None) or {} for summary in summaries]
    return sum(
        entity(count, int, "the counts of a source")
        for of_source in counts
        for status, count in of_source.items()
        if status in statuses
    )


def is_finished(status: WorkRequirementStatus | None) -> bool:
    """Whether a work requirement has ended."""
    return getattr(status, "finished", False)  # an unknown one is a text, see `salvage`


def _parts(listed: object, kind: type[T], subject: str) -> list[T]:
    """The elements of a list, which may be missing.

    Raises:
        MalformedResponse: it is no list, or an element is something else.
    """
    return [entity(part, kind, subject) for part in entity(listed or [], list, subject)]


def identified(text: str | None, subject: str) -> str:
    """An id or a name, which every entity has.

    Raises:
        MalformedResponse: it is missing, so the response was other JSON.
    """
    if text is None:
        raise malformed(f"{subject}: no id or name")
    return text
