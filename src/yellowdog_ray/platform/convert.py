"""YellowDog's entities as the SDK has them: made into views, and made of what is asked for. No call is made here."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone

from yellowdog_client.model import (
    CloudProvider,
    ComputeRequirement,
    ConfiguredWorkerPool,
    Node,
    NodeStatus,
    ProvisionedWorkerPool,
    RunSpecification,
    Task,
    TaskGroup,
    TaskStatus,
    TaskSummary,
    WorkerPool,
    WorkerPoolStatus,
    WorkRequirement,
    WorkRequirementStatus,
)

from yellowdog_ray.node.variables import NODE_TAGS
from yellowdog_ray.platform.types import (
    Counts,
    MachineSize,
    Placement,
    PlatformNodeView,
    PoolView,
    TaskGroupSpec,
    TaskGroupView,
    TaskPhase,
    TaskSpec,
    TaskView,
    WorkRequirementView,
    phase_of,
)

TASK_TYPE = "bash"
"""What every task is, and every platform node that is to run it must offer."""

LIVE_NODES = [NodeStatus.RUNNING, NodeStatus.LATE]
LONG_AGO = datetime.fromtimestamp(0, timezone.utc)


def task_group_entity(spec: TaskGroupSpec, namespace: str) -> TaskGroup:
    """A task group as it is to be added."""
    placement = spec.placement or Placement((spec.worker_tag,), (namespace,))
    return TaskGroup(
        name=spec.name,
        # What it is known by, also where no pool of its own bears that name.
        tag=spec.worker_tag,
        runSpecification=RunSpecification(
            taskTypes=[TASK_TYPE],
            maximumTaskRetries=0,
            taskTimeout=spec.task_timeout,
            workerTags=list(placement.worker_tags) or None,
            namespaces=list(placement.namespaces) or None,
            providers=[CloudProvider[word] for word in placement.providers] or None,
        ),
        # Nodes come and go for as long as the cluster lives.
        finishIfAllTasksFinished=False,
        finishIfAnyTaskFailed=False,
    )


def task_entity(spec: TaskSpec) -> Task:
    """A task as it is to be added."""
    return Task(
        name=spec.name,
        taskType=TASK_TYPE,
        arguments=["taskdata.txt"],
        taskData=spec.script,
        environment=spec.environment,
        timeout=spec.timeout,
    )


def work_view(requirement: WorkRequirement) -> WorkRequirementView:
    """What we need of a work requirement."""
    status = requirement.status
    return WorkRequirementView(
        id=named(requirement.id),
        name=requirement.name,
        status=word_of(status),
        finished=is_finished(status),
        cancelling=status is WorkRequirementStatus.CANCELLING,
        created=time_of(requirement.createdTime),
        groups=tuple(_group_view(group) for group in requirement.taskGroups or []),
    )


def _group_view(group: TaskGroup) -> TaskGroupView:
    spec = group.runSpecification
    placement = Placement(
        tuple(spec.workerTags or ()), tuple(spec.namespaces or ()), tuple(map(word_of, spec.providers or ()))
    )
    return TaskGroupView(
        id=named(group.id),
        name=group.name,
        worker_tag=group.tag or next(iter(placement.worker_tags), ""),
        task_timeout=spec.taskTimeout,
        counts=_counts(group.taskSummary),
        placement=placement,
    )


def _counts(summary: TaskSummary | None) -> Counts | None:
    if summary is None or (summary.statusCounts is None and summary.taskCount):
        return None
    at: Counter[TaskPhase] = Counter()
    for status, count in (summary.statusCounts or {}).items():
        at[phase_of(word_of(status))] += count
    return Counts(at, summary.lastUpdatedTime)


def task_view(task: Task) -> TaskView:
    """What we need of a task."""
    status = task.status or TaskStatus.PENDING
    tags = json.loads((task.environment or {}).get(NODE_TAGS, "{}"))
    return TaskView(
        id=named(task.id),
        name=str(task.name),
        group_id=str(task.taskGroupId),
        executing=status in (TaskStatus.EXECUTING, TaskStatus.UPLOADING),
        finished=status.finished,
        status=word_of(status),
        abort_requested=task.abortRequestedTime is not None,
        platform_node_id=task.nodeId,
        tags=tags,
        errors=tuple(_task_error(error) for error in task.errors or []),
    )


def _task_error(error: object) -> str:
    kind, text = getattr(error, "errorType", None), getattr(error, "error", "")
    exit_code = getattr(error, "processExitCode", None)
    return f"{word_of(kind)}: {text}" + (f" (exit code {exit_code})" if exit_code is not None else "")


def platform_node_view(node: Node) -> PlatformNodeView:
    """What we need of a platform node."""
    details = node.details
    return PlatformNodeView(
        id=named(node.id),
        pool_id=str(node.workerPoolId),
        instance_id=details.instanceId if details else "",
        private_ip=details.privateIpAddress if details else None,
        public_ip=details.publicIpAddress if details else None,
        provider=word_of(details.provider) if details and details.provider else None,
        warned=node.preemptionWarningTime,
        alive=node.status in LIVE_NODES,
        task_types=tuple(details.supportedTaskTypes or ()) if details else (),
        size=MachineSize(details.vcpus, details.ram) if details and details.vcpus and details.ram else None,
        slots=sum(worker.status is None or worker.status.available for worker in node.workers or ()),
    )


def pool_view(pool: WorkerPool) -> PoolView:
    """What we need of a worker pool."""
    status = pool.status
    return PoolView(
        id=named(pool.id),
        name=str(pool.name),
        status=word_of(status),
        finished=status in (WorkerPoolStatus.SHUTDOWN, WorkerPoolStatus.TERMINATED),
        compute_requirement_id=pool.computeRequirementId if isinstance(pool, ProvisionedWorkerPool) else None,
        configured=isinstance(pool, ConfiguredWorkerPool),
        namespace=str(pool.namespace),
        worker_tag=(pool.properties.workerTag or None) if pool.properties else None,
    )


def source_messages(requirement: ComputeRequirement) -> tuple[str, ...]:
    """What the sources of a compute requirement complain of."""
    sources = getattr(requirement.provisionStrategy, "sources", None) or []
    return tuple(str(source.statusMessage) for source in sources if source.statusMessage)


def is_finished(status: WorkRequirementStatus | None) -> bool:
    """Whether a work requirement has ended."""
    return status is not None and status.finished


def time_of(moment: datetime | None) -> datetime:
    """A moment, or one long ago where the platform does not say."""
    return moment if moment is not None else LONG_AGO


def named(text: str | None) -> str:
    """An id or a name, which everything has: what has none is not what was asked for, but other JSON."""
    if text is None:
        raise ValueError("something without id or name")
    return text


def word_of(value: object) -> str:
    """The platform's own word of an enumeration."""
    return str(getattr(value, "value", value))
