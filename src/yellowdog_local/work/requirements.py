"""Work requirements and task groups: add, update, hold, finish, cancel, and detect their end. Imports no worker."""

from __future__ import annotations

import logging

from yellowdog_client.model import (
    Task,
    TaskGroup,
    TaskGroupStatus,
    TaskSearch,
    TaskStatus,
    TaskSummary,
    WorkRequirement,
    WorkRequirementSearch,
    WorkRequirementStatus,
    WorkRequirementSummary,
)

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.errors import AlreadyExists, InvalidRequest, InvalidWorkStatus, NotCovered
from yellowdog_local.state import ids, search
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.lives import TASK_GROUP, WORK_REQUIREMENT, GroupEvent, WorkEvent
from yellowdog_local.state.records import GroupRecord, TaskRecord, WorkRecord
from yellowdog_local.state.store import Store, found
from yellowdog_local.work.tasks import Tasks

_log = logging.getLogger(__name__)
_Group, _Work = TaskGroupStatus, WorkRequirementStatus
# The statuses that a user can request.
_REQUESTS: dict[WorkRequirementStatus, WorkEvent] = {
    _Work.HELD: "hold",
    _Work.RUNNING: "resume",
    _Work.FINISHING: "finish",
    _Work.CANCELLING: "cancel",
}


class Work:
    """The work service. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, id_maker: ids.Ids, namespaces: Namespaces, tasks: Tasks) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = id_maker
        self._namespaces = namespaces
        self._tasks = tasks

    def add(self, entity: WorkRequirement) -> WorkRecord:
        """Add a work requirement; it is RUNNING at once, with or without YellowDog workers for its tasks."""
        self._namespaces.check_name("name", entity.name)
        groups = entity.taskGroups or []
        self._check_groups(groups)
        existing = self._store.works_by_name.get((entity.namespace, entity.name))
        reusable = self._kernel.settings.reuse_finished_names
        if existing is not None and not (existing.status.finished and reusable):
            raise AlreadyExists("Work requirement", entity.namespace, entity.name)
        self._namespaces.use(entity.namespace)
        now = self._kernel.now()
        entity.id, entity.createdTime = self._ids.new("workreq"), now
        entity.status, entity.statusChangedTime = _Work.RUNNING, now
        work = WorkRecord(seq=self._kernel.next_sequence(), id=entity.id, entity=entity, created=now)
        self._store.add_work(work)
        work.groups = [self._add_group(work, group) for group in groups]
        _log.info("work requirement %s/%s (%s) was added", entity.namespace, entity.name, work.id)
        return work

    def update(self, entity: WorkRequirement) -> WorkRecord:
        """Update a work requirement: priorities, tags, flags, and new task groups."""
        work = self._store.work(entity.id or "")
        if not work.accepts_work:
            raise InvalidWorkStatus(f"Work requirement '{entity.name}' cannot be changed: it is {work.status}")
        if (entity.namespace, entity.name) != (work.entity.namespace, work.entity.name):
            raise InvalidRequest("namespace and name of a work requirement cannot be changed")
        groups = entity.taskGroups or []
        self._check_groups(groups)
        by_name = {record.entity.name: record for record in work.groups}
        missing = by_name.keys() - {group.name for group in groups}
        if missing and self._kernel.settings.refuse_omitted_task_groups:
            raise InvalidRequest(f"Task groups cannot be removed: {', '.join(sorted(missing))}")
        for group in groups:
            _check_update(by_name.get(group.name), group, types_fixed=self._kernel.settings.task_types_immutable)
        work.entity.tag, work.entity.priority = entity.tag, entity.priority
        work.groups = [
            self._update_group(by_name[group.name], group) if group.name in by_name else self._add_group(work, group)
            for group in groups
        ] + [record for name, record in by_name.items() if name in missing]
        self._kernel.want_pass()
        return work

    def transition(self, work: WorkRecord, status: WorkRequirementStatus, *, abort: bool) -> WorkRecord:
        """Hold, resume, finish or cancel a work requirement."""
        self._request(work, status)
        if status is _Work.HELD:
            self._hold(work)
        elif status is _Work.RUNNING:
            self._resume(work)
        elif status is _Work.FINISHING:
            self._move_groups(work, "finish", to=_Group.FINISHING)
        else:
            self._cancel(work, abort=abort)
        for group in work.groups:
            self.refresh(group)
        self._refresh_work(work)
        self._kernel.want_pass()
        return work

    def add_tasks(self, group: GroupRecord, entities: list[Task]) -> list[TaskRecord]:
        """Add tasks to a task group that accepts them."""
        closed = group.status.terminated or group.status.terminating or group.status is _Group.FINISHING
        if not group.work.accepts_work or closed:
            raise InvalidRequest(
                f"Tasks cannot be added to task group '{group.entity.name}': it is {group.status}, "
                f"its work requirement is {group.work.status}"
            )
        return self._tasks.add(group, entities)

    def group_by_name(self, namespace: str, name: str, group_name: str) -> GroupRecord:
        """A task group by the names of itself and its work requirement."""
        work = self._store.work_by_name(namespace, name)
        matching = (group for group in work.groups if group.entity.name == group_name)
        return found("Task group", f"{namespace}/{name}/{group_name}", next(matching, None))

    def refresh(self, group: GroupRecord) -> None:
        """Update the status of a task group after a change of its tasks or YellowDog workers."""
        if group.status.terminated:
            return
        failed = group.counts[TaskStatus.FAILED] > 0
        if group.status is _Group.PENDING and group.claimed:
            self._move_group(group, "claim")
        if failed and group.entity.finishIfAnyTaskFailed and not group.status.terminating:
            self._move_group(group, "fail")
            for task in group.waiting:
                self._tasks.discard(task)
            if self._kernel.settings.group_failure_aborts_executing_tasks:
                for task in group.in_progress:
                    self._tasks.cancel(task, abort=True)
        if group.unfinished == 0 and self._may_end(group):
            self._move_group(group, _end_event(group, failed=failed))
            self._end_group(group)

    def search(self, wanted: WorkRequirementSearch) -> list[WorkRecord]:
        """The work requirements that match a search."""
        return [work for work in self._store.works.values() if search.work_matches(work, wanted)]

    def search_tasks(self, wanted: TaskSearch) -> list[TaskRecord]:
        """The tasks that match a search, in the order in which they were added."""
        tasks = [
            task
            for group in self._groups(wanted)
            for status in (wanted.statuses or tuple(TaskStatus))
            for task in group.having(status)
        ]
        if search.looks_into_tasks(wanted):
            tasks = [task for task in tasks if search.task_matches(task, wanted)]
        return sorted(tasks, key=lambda task: task.seq)

    def view(self, work: WorkRecord) -> WorkRequirement:
        """A work requirement as the API returns it."""
        for group in work.groups:
            group.entity.taskSummary = TaskSummary(
                statusCounts={status: count for status, count in group.counts.items() if count},
                taskCount=sum(group.counts.values()),
                lastUpdatedTime=group.last_updated.show(),
            )
            group.entity.waitingOnDependency = group.waiting_on_dependency
            group.entity.starved = bool(group.ready) and not group.claimed
        work.entity.taskGroups = [group.entity for group in work.groups]
        return work.entity

    def summary(self, work: WorkRecord) -> WorkRequirementSummary:
        """A work requirement as lists show it."""
        return WorkRequirementSummary(
            id=work.id,
            namespace=work.entity.namespace,
            name=work.entity.name,
            tag=work.entity.tag,
            createdTime=work.created,
            statusChangedTime=work.entity.statusChangedTime,
            priority=work.entity.priority,
            completedTaskCount=sum(group.counts[TaskStatus.COMPLETED] for group in work.groups),
            totalTaskCount=sum(sum(group.counts.values()) for group in work.groups),
            status=work.status,
            healthy=search.work_healthy(work),
        )

    def _groups(self, wanted: TaskSearch) -> list[GroupRecord]:
        if wanted.taskGroupId is not None:
            group = self._store.groups.get(wanted.taskGroupId)
            fits = group is not None and wanted.workRequirementId in (None, group.work.id)
            return [group] if group is not None and fits else []
        if wanted.workRequirementId is not None:
            work = self._store.works.get(wanted.workRequirementId)
            return work.groups if work is not None else []
        return list(self._store.groups.values())

    def _check_groups(self, groups: list[TaskGroup]) -> None:
        if len(groups) > WorkRequirement.TASK_GROUPS_MAX:
            raise InvalidRequest(f"No more than {WorkRequirement.TASK_GROUPS_MAX} task groups are allowed")
        names = [group.name for group in groups]
        if len(set(names)) < len(names):
            raise InvalidRequest("Task group names must be unique within work requirement")
        for group in groups:
            self._namespaces.check_name("taskGroups.name", group.name)
            _check_group(group, names)

    def _add_group(self, work: WorkRecord, entity: TaskGroup) -> GroupRecord:
        work.groups_made += 1
        entity.id = ids.child("taskgrp", work.id, work.groups_made)
        status = _Group.HELD if work.status is _Work.HELD else _Group.PENDING
        entity.status, entity.statusChangedTime = status, self._kernel.now()
        group = GroupRecord(seq=self._kernel.next_sequence(), id=entity.id, entity=entity, work=work, status=status)
        group.last_updated.mark(self._kernel.now())
        self._store.groups[group.id] = group
        return group

    def _update_group(self, group: GroupRecord, entity: TaskGroup) -> GroupRecord:
        current = group.entity
        for name in ("tag", "priority", "finishIfAllTasksFinished", "finishIfAnyTaskFailed"):
            setattr(current, name, getattr(entity, name))
        current.runSpecification = entity.runSpecification
        current.completedTaskTtl, current.taskTemplate = entity.completedTaskTtl, entity.taskTemplate
        self._tasks.touched_groups[group.id] = group
        return group

    def _request(self, work: WorkRecord, status: WorkRequirementStatus) -> None:
        """Move a work requirement to the status that a user requests; repeating a request is harmless."""
        event = _REQUESTS.get(status)
        if event is None or not (work.status is status or WORK_REQUIREMENT.declares(work.status, event)):
            raise InvalidWorkStatus(
                f"Work requirement '{work.entity.name}' cannot become {status}: it is {work.status}"
            )
        if work.status is not status:
            self._move_work(work, event)

    def _hold(self, work: WorkRecord) -> None:
        self._move_groups(work, "hold", to=_Group.HELD)
        if self._kernel.settings.hold_returns_allocated_tasks:
            for group in work.groups:
                for task in group.having(TaskStatus.ALLOCATED):
                    self._tasks.return_to_ready(task)

    def _resume(self, work: WorkRecord) -> None:
        for group in work.groups:
            if group.status is _Group.HELD:
                self._move_group(group, "resume")
                self._tasks.touched_groups[group.id] = group

    def _cancel(self, work: WorkRecord, *, abort: bool) -> None:
        for group in work.groups:
            if group.status.terminated:
                continue
            if group.status is not _Group.CANCELLING:
                self._move_group(group, "cancel")
            for task in [*group.waiting, *group.in_progress]:
                self._tasks.cancel(task, abort=abort)

    def _may_end(self, group: GroupRecord) -> bool:
        if group.status.terminating or group.status is _Group.FINISHING:
            return True
        if group.status is _Group.HELD:
            return False
        return group.entity.finishIfAllTasksFinished and group.tasks_made > 0

    def _end_group(self, group: GroupRecord) -> None:
        for other in group.work.groups:
            depends = group.entity.name in other.dependencies  # other PENDING tasks wait for a retry delay
            if depends and not other.status.terminated and not other.waiting_on_dependency:
                for task in tuple(other.having(TaskStatus.PENDING)):
                    self._tasks.make_ready(task)
        self._refresh_work(group.work)

    def _refresh_work(self, work: WorkRecord) -> None:
        if work.status.finished or any(not group.status.terminated for group in work.groups):
            return
        if work.status is _Work.CANCELLING:
            self._move_work(work, "end")
        elif any(group.status is _Group.FAILED for group in work.groups):
            self._move_work(work, "fail")
        elif work.groups or work.status is _Work.FINISHING:
            self._move_work(work, "complete")

    def _move_groups(self, work: WorkRecord, event: GroupEvent, *, to: TaskGroupStatus) -> None:
        for group in work.groups:
            if not (group.status.terminated or group.status.terminating or group.status is to):
                self._move_group(group, event)

    def _move_group(self, group: GroupRecord, event: GroupEvent) -> None:
        TASK_GROUP.move(group, event)
        group.entity.statusChangedTime = self._kernel.now()

    def _move_work(self, work: WorkRecord, event: WorkEvent) -> None:
        WORK_REQUIREMENT.move(work, event)
        work.entity.statusChangedTime = self._kernel.now()
        _log.info("work requirement %s/%s is %s", work.entity.namespace, work.entity.name, work.status)


def _end_event(group: GroupRecord, *, failed: bool) -> GroupEvent:
    if group.status.terminating:
        return "end"
    return "complete with failures" if failed else "complete"


def _check_group(group: TaskGroup, names: list[str]) -> None:
    spec = group.runSpecification
    if not spec.taskTypes:
        raise InvalidRequest(f"taskGroups '{group.name}': runSpecification.taskTypes must not be empty")
    unknown = [name for name in group.dependencies or () if name not in names]
    if unknown:
        raise InvalidRequest(f"taskGroups '{group.name}': unknown dependencies {', '.join(unknown)}")
    destinations = spec.failurePolicy.resubmissionDestinations if spec.failurePolicy is not None else ()
    missing = [d.destinationTaskGroup for d in destinations if d.destinationTaskGroup not in names]
    if missing:
        raise InvalidRequest(f"taskGroups '{group.name}': unknown destinationTaskGroup {', '.join(missing)}")
    if spec.retryableErrors:
        raise NotCovered("A run specification's retryableErrors (deprecated: use retryPolicy)")


def _check_update(existing: GroupRecord | None, group: TaskGroup, *, types_fixed: bool) -> None:
    if existing is None:
        return
    if group.id is not None and group.id != existing.id:
        raise InvalidRequest(f"taskGroups '{group.name}': the id does not belong to this name")
    if types_fixed and group.runSpecification.taskTypes != existing.spec.taskTypes:
        raise InvalidRequest(f"taskGroups '{group.name}': runSpecification.taskTypes cannot be changed")
