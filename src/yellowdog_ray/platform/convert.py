"""Converts work requirements and tasks of the SDK to views, and specs to entities. Makes no call.

Conversions run outside `sdk_errors`: an exception here is a mistake of ours, except `MalformedResponse`.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

from yellowdog_client.model import (
    CloudProvider,
    RunSpecification,
    Task,
    TaskGroup,
    TaskStatus,
    TaskSummary,
    WorkRequirement,
    WorkRequirementStatus,
    WorkRequirementSummary,
)

from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.node.variables import CLOUD_INSTANCE_ID, NODE_TAGS
from yellowdog_ray.platform.shapes import NO_OBJECTS, entity, identified, parts
from yellowdog_ray.platform.types import (
    Counts,
    Placement,
    TaskGroupSpec,
    TaskGroupView,
    TaskPhase,
    TaskSpec,
    TaskView,
    WorkRequirementEntry,
    WorkRequirementView,
    phase_of,
)
from yellowdog_ray.platform.values import duration, moment, word_of

TASK_TYPE = "bash"
"""The type of every task; a platform node that runs one must offer it."""


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
    groups = map(_group_view, parts(requirement.taskGroups, TaskGroup, "task groups"))
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
    if isinstance(error, (*NO_OBJECTS, dict)):
        return str(error)
    kind, text = getattr(error, "errorType", None), getattr(error, "error", "")
    exit_code = getattr(error, "processExitCode", None)
    return f"{word_of(kind)}: {text}" + (f" (exit code {exit_code})" if exit_code is not None else "")


def is_finished(status: WorkRequirementStatus | None) -> bool:
    """Whether a work requirement has ended."""
    return getattr(status, "finished", False)  # an unknown one is a text, see `salvage`
