"""Calls that read what has happened: tasks, platform nodes and instances with their moments, ended ones too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from yellowdog_client.model import Instance, InstanceSearch, Node, NodeSearch, Task, TaskSearch

from yellowdog_ray.platform.calls import Calls, platform_call
from yellowdog_ray.platform.convert import task_errors, task_view
from yellowdog_ray.platform.convert_machines import instance_id_of
from yellowdog_ray.platform.shapes import identified
from yellowdog_ray.platform.types import TaskView
from yellowdog_ray.platform.values import moment, word_of

MAX_TASKS = 20_000
"""Tasks of a work requirement that a history reads at most: 20 calls."""


@dataclass(frozen=True)
class TaskHistory:
    """A task and its moments.

    Attributes:
        task: the task.
        abort_requested: when its end was requested.
        errors: time and text of each error; a missing time is None.
    """

    task: TaskView
    abort_requested: datetime | None
    errors: tuple[tuple[datetime | None, str], ...]


@dataclass(frozen=True)
class NodeHistory:
    """A platform node and its moments."""

    id: str
    instance_id: str
    status: str
    registered: datetime | None
    deregistered: datetime | None
    spot_notice: datetime | None
    status_changed: datetime | None


@dataclass(frozen=True)
class InstanceHistory:
    """An instance and its moments."""

    id: str
    instance_type: str | None
    spot: bool
    status: str
    created: datetime | None
    status_changed: datetime | None


class HistoryCalls(Calls):
    """Calls for the records of the past that the platform keeps."""

    @platform_call
    def task_history(self, requirement_id: str) -> list[TaskHistory]:
        """The tasks of a work requirement, but no more than `MAX_TASKS`: one call per page."""
        subject = "the cluster's tasks"
        with self._sdk(subject):
            results = self._client.work_client.get_tasks(TaskSearch(workRequirementId=requirement_id))
        return [_task_history(task) for task in self._items(subject, results, Task, MAX_TASKS)]

    @platform_call
    def node_history(self, worker_tag: str) -> list[NodeHistory]:
        """The platform nodes with this worker tag: one call per page."""
        subject = f"the nodes with worker tag '{worker_tag}'"
        with self._sdk(subject):
            results = self._client.worker_pool_client.get_nodes(NodeSearch(workerTag=worker_tag))
        return [_node_history(node) for node in self._items(subject, results, Node)]

    @platform_call
    def instance_history(self, requirement_id: str) -> list[InstanceHistory]:
        """The instances of a compute requirement: one call per page."""
        subject = f"the instances of compute requirement {requirement_id}"
        with self._sdk(subject):
            results = self._client.compute_client.get_instances(InstanceSearch(computeRequirementId=requirement_id))
        return [_instance_history(instance) for instance in self._items(subject, results, Instance)]


def _task_history(task: Task) -> TaskHistory:
    return TaskHistory(task_view(task), moment(task.abortRequestedTime), tuple(task_errors(task)))


def _node_history(node: Node) -> NodeHistory:
    return NodeHistory(
        id=identified(node.id, "a platform node"),
        instance_id=node.details.instanceId if node.details else "",
        status=word_of(node.status),
        registered=moment(node.registeredTime),
        deregistered=moment(node.deregisteredTime),
        spot_notice=moment(node.preemptionWarningTime),
        status_changed=moment(node.statusChangedTime),
    )


def _instance_history(instance: Instance) -> InstanceHistory:
    found = instance_id_of(instance)  # an unknown kind of instance may lack attributes
    return InstanceHistory(
        id=str(found.instanceId) if found else "",
        instance_type=getattr(instance, "instanceType", None),
        spot=bool(getattr(instance, "spot", False)),
        status=word_of(getattr(instance, "status", None)),
        created=moment(getattr(instance, "createdTime", None)),
        status_changed=moment(getattr(instance, "statusChangedTime", None)),
    )
