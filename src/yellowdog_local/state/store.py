"""The platform's records by id, by name, and those that the scheduler reads. Contains no rules.

A lookup that fails raises `NotFound`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from yellowdog_client.model import AttributeDefinition, ComputeRequirementStatus, TaskStatus

from yellowdog_local.errors import NotFound
from yellowdog_local.state.plain_records import (
    AllowanceRecord,
    FamilyRecord,
    KeyringRecord,
    NamespaceRecord,
    PolicyRecord,
    RequirementTemplateRecord,
    SourceTemplateRecord,
)
from yellowdog_local.state.records import (
    GroupRecord,
    InstanceRecord,
    MembersRecord,
    NodeRecord,
    PoolRecord,
    RequirementRecord,
    TaskRecord,
    WorkerRecord,
    WorkRecord,
)

_T = TypeVar("_T")
FullName = tuple[str, str]


def found(what: str, which: str, record: _T | None) -> _T:
    """The record, or `NotFound`."""
    if record is None:
        raise NotFound(what, which)
    return record


class Store:
    """All records of one platform. A name refers to the newest record of that name."""

    def __init__(self) -> None:
        self.namespaces: dict[str, NamespaceRecord] = {}
        self.source_templates: dict[str, SourceTemplateRecord] = {}
        self.requirement_templates: dict[str, RequirementTemplateRecord] = {}
        self.works: dict[str, WorkRecord] = {}
        self.works_by_name: dict[FullName, WorkRecord] = {}
        self.groups: dict[str, GroupRecord] = {}
        self.tasks: dict[str, TaskRecord] = {}
        self.pools: dict[str, PoolRecord] = {}
        self.pools_by_name: dict[FullName, PoolRecord] = {}
        self.nodes: dict[str, NodeRecord] = {}
        self.workers: dict[str, WorkerRecord] = {}
        self.requirements: dict[str, RequirementRecord] = {}
        self.requirements_by_name: dict[FullName, RequirementRecord] = {}
        self.instances: dict[str, InstanceRecord] = {}
        self.instances_by_token: dict[str, InstanceRecord] = {}
        self.policies: dict[str, PolicyRecord] = {}
        self.attributes: dict[str, AttributeDefinition] = {}
        self.image_families: dict[str, FamilyRecord] = {}
        self.keyrings: dict[str, KeyringRecord] = {}
        self.allowances: dict[str, AllowanceRecord] = {}
        self.members: dict[str, MembersRecord] = {}
        # The records that the scheduler reads in each pass; all others may be finished, and there may be many.
        self.open_pools: dict[str, PoolRecord] = {}
        self.groups_with_ready: dict[str, GroupRecord] = {}

    def work(self, work_id: str) -> WorkRecord:
        """The work requirement of that id."""
        return found("Work requirement", work_id, self.works.get(work_id))

    def work_by_name(self, namespace: str, name: str) -> WorkRecord:
        """The newest work requirement of that name."""
        return found("Work requirement", f"{namespace}/{name}", self.works_by_name.get((namespace, name)))

    def group(self, group_id: str) -> GroupRecord:
        """The task group of that id."""
        return found("Task group", group_id, self.groups.get(group_id))

    def task(self, task_id: str) -> TaskRecord:
        """The task of that id."""
        return found("Task", task_id, self.tasks.get(task_id))

    def pool(self, pool_id: str) -> PoolRecord:
        """The worker pool of that id."""
        return found("Worker pool", pool_id, self.pools.get(pool_id))

    def pool_by_name(self, namespace: str, name: str) -> PoolRecord:
        """The newest worker pool of that name."""
        return found("Worker pool", f"{namespace}/{name}", self.pools_by_name.get((namespace, name)))

    def node(self, node_id: str) -> NodeRecord:
        """The platform node of that id."""
        return found("Node", node_id, self.nodes.get(node_id))

    def worker(self, worker_id: str) -> WorkerRecord:
        """The YellowDog worker of that id."""
        return found("Worker", worker_id, self.workers.get(worker_id))

    def requirement(self, requirement_id: str) -> RequirementRecord:
        """The compute requirement of that id."""
        return found("Compute requirement", requirement_id, self.requirements.get(requirement_id))

    def requirement_by_name(self, namespace: str, name: str) -> RequirementRecord:
        """The newest compute requirement of that name."""
        record = self.requirements_by_name.get((namespace, name))
        return found("Compute requirement", f"{namespace}/{name}", record)

    def add_work(self, work: WorkRecord) -> None:
        """Add a work requirement."""
        self.works[work.id] = work
        self.works_by_name[work.entity.namespace, work.entity.name] = work

    def add_pool(self, pool: PoolRecord) -> None:
        """Add a worker pool."""
        self.pools[pool.id] = self.open_pools[pool.id] = pool
        self.pools_by_name[pool.namespace, pool.name] = pool

    def add_requirement(self, requirement: RequirementRecord) -> None:
        """Add a compute requirement."""
        self.requirements[requirement.id] = requirement
        self.requirements_by_name[requirement.namespace, requirement.name] = requirement

    def add_instance(self, instance: InstanceRecord) -> None:
        """Add an instance."""
        self.instances[instance.id] = instance
        self.instances_by_token[instance.token] = instance
        instance.requirement.instances[instance.id] = instance
        instance.requirement.live[instance.id] = instance

    def note_ready(self, group: GroupRecord) -> None:
        """Note whether a task group has tasks for the scheduler."""
        if group.by_status.get(TaskStatus.READY):
            self.groups_with_ready[group.id] = group
        else:
            self.groups_with_ready.pop(group.id, None)

    def namespace_in_use(self, namespace: str) -> bool:
        """Whether the namespace contains anything but finished work."""
        return (
            _any_in(namespace, self.source_templates.values())
            or _any_in(namespace, self.requirement_templates.values())
            or any(w.entity.namespace == namespace and not w.status.finished for w in self.works.values())
            or _any_in(namespace, self.open_pools.values())
            or any(record.entity.namespace == namespace for record in self.image_families.values())
            or any(
                r.namespace == namespace and r.status is not ComputeRequirementStatus.TERMINATED
                for r in self.requirements.values()
            )
        )


def _any_in(namespace: str, records: Iterable[SourceTemplateRecord | RequirementTemplateRecord | PoolRecord]) -> bool:
    return any(record.namespace == namespace for record in records)
