"""Calls of the work service: work requirements, task groups, tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from yellowdog_client.model import (
    InstantRange,
    Task,
    TaskSearch,
    TaskStatus,
    WorkRequirement,
    WorkRequirementSearch,
    WorkRequirementStatus,
    WorkRequirementSummary,
)

from yellowdog_ray.errors import NotFound, PlatformError, Refused
from yellowdog_ray.platform.calls import Calls, platform_call
from yellowdog_ray.platform.convert import task_entity, task_group_entity, task_view, work_entry, work_view
from yellowdog_ray.platform.errors import malformed
from yellowdog_ray.platform.limits import TASKS, stated_limit
from yellowdog_ray.platform.shapes import entity, identified
from yellowdog_ray.platform.types import (
    ENDED_BY_ITSELF,
    TaskGroupSpec,
    TaskSpec,
    TaskView,
    WorkRequirementEntry,
    WorkRequirementView,
)

TASK_BATCH_SIZE = 1_000
"""Tasks per submitting call: the official CLI's default; the platform takes up to 10,000 (its `submit.py`)."""

LIMIT_SECONDS = 3_600.0
"""How long a limit of a refusal is kept: it may have been another number, or have changed since."""

_LIVE_TASKS = [status for status in TaskStatus if not status.finished]
_ENDED_TASKS = [status for status in TaskStatus if status.finished]
_NOT_STOPPED_TASKS = [status for status in TaskStatus if not status.finished or status.value in ENDED_BY_ITSELF]
_ALLOCATED_TASKS = [TaskStatus.ALLOCATED, TaskStatus.DOWNLOADING]


class WorkCalls(Calls):
    """Work requirements, task groups and tasks."""

    _batch_size: int | None = None
    """Tasks per submitting call that the platform accepts, if it has refused more."""

    _limited_at = -math.inf
    """When that was, in monotonic seconds."""

    @platform_call
    def named_work_requirement(self, name: str) -> WorkRequirementView | None:
        """The work requirement that the platform gives for a name, or None.

        If several have had that name, which of them is not known: it may be an ended one.
        """
        subject = f"work requirement '{name}'"
        try:
            with self._sdk(subject):
                found = self._client.work_client.get_work_requirement_by_name(self.namespace, name)
        except NotFound:
            return None
        return work_view(entity(found, WorkRequirement, subject))

    @platform_call
    def work_requirements(self, name_part: str, *, finished: bool) -> list[WorkRequirementEntry]:
        """The work requirements of the namespace whose names may contain this: one call per page.

        A search may not show a new one yet. The platform may match more than that part.

        Args:
            name_part: the part.
            finished: also those that have ended.
        """
        return self._listed(
            f"the work requirements named '{name_part}'",
            [self.namespace],
            lambda namespace: self._client.work_client.get_work_requirements(
                work_search(namespace, name_part, finished=finished)
            ),
            WorkRequirementSummary,
            work_entry,
        )

    @platform_call
    def work_requirement(self, requirement_id: str) -> WorkRequirementView:
        """The work requirement's present state, with its task groups' counts."""
        return work_view(self._work_requirement(requirement_id))

    @platform_call
    def create_work_requirement(self, name: str, tag: str | None, group: TaskGroupSpec) -> WorkRequirementView:
        """Create a work requirement with its first task group."""
        requirement = WorkRequirement(
            namespace=self.namespace, name=name, tag=tag, taskGroups=[task_group_entity(group, self.namespace)]
        )
        subject = f"work requirement '{name}'"
        with self._sdk(subject):
            created = self._client.work_client.add_work_requirement(requirement)
        return work_view(entity(created, WorkRequirement, subject))

    @platform_call
    def add_task_group(self, requirement_id: str, group: TaskGroupSpec) -> WorkRequirementView:
        """Add a task group: two calls, a read and a write (the platform takes work requirements whole)."""
        requirement = self._work_requirement(requirement_id)
        requirement.taskGroups = [*(requirement.taskGroups or []), task_group_entity(group, self.namespace)]
        subject = f"task group '{group.name}'"
        with self._sdk(subject):
            updated = self._client.work_client.update_work_requirement(requirement)
        return work_view(entity(updated, WorkRequirement, subject))

    @platform_call
    def submit_tasks(self, group_id: str, specs: Sequence[TaskSpec]) -> list[TaskView]:
        """Submit tasks: one call per `TASK_BATCH_SIZE` of them, or per as many as the platform accepts.

        Raises:
            MalformedResponse: an answer lacks a task, which may or may not exist.
        """
        now = self.retry_policy.monotonic()
        if now - self._limited_at >= LIMIT_SECONDS:
            self._batch_size = None
        submitted: list[TaskView] = []
        while len(submitted) < len(specs):
            size = min(self._batch_size or TASK_BATCH_SIZE, len(specs) - len(submitted))
            try:
                submitted += self._submit_batch(group_id, specs[len(submitted) : len(submitted) + size])
            except PlatformError as error:
                limit = stated_limit(error, TASKS, below=size, was_stated=size == self._batch_size)
                if limit is None:
                    raise
                self._batch_size, self._limited_at = limit, now
        return submitted

    def _submit_batch(self, group_id: str, specs: Sequence[TaskSpec]) -> list[TaskView]:
        subject = f"{len(specs)} tasks"
        batch = [task_entity(spec) for spec in specs]
        with self._sdk(subject):
            tasks = self._client.work_client.add_tasks_to_task_group_by_id(group_id, batch)
        views = [task_view(entity(task, Task, subject)) for task in tasks]
        if sorted(view.name for view in views) != sorted(spec.name for spec in specs):
            raise malformed(f"{subject}: an answer with {len(views)} tasks, or with others")
        return views

    @platform_call
    def task(self, task_id: str) -> TaskView:
        """One task; an ended one too."""
        return task_view(self._task(task_id))

    @platform_call
    def task_spec(self, task_id: str) -> TaskSpec:
        """The specification of an existing task, for a new one like it."""
        task = self._task(task_id)
        environment, timeout = dict(task.environment or {}), task.timeout or timedelta(0)
        return TaskSpec(identified(task.name, f"task {task_id}"), task.taskData or "", environment, timeout)

    @platform_call
    def live_tasks(self, requirement_id: str) -> list[TaskView]:
        """Every task that has not ended, of all groups: one call per page."""
        return self._tasks(TaskSearch(workRequirementId=requirement_id, statuses=_LIVE_TASKS))

    @platform_call
    def tasks_not_stopped(self, requirement_id: str) -> list[TaskView]:
        """Every task that has not ended, and every one that has ended by itself: one call per page."""
        return self._tasks(TaskSearch(workRequirementId=requirement_id, statuses=_NOT_STOPPED_TASKS))

    @platform_call
    def live_group_tasks(self, group_id: str) -> list[TaskView]:
        """Every task of one group that has not ended: one call per page."""
        return self._tasks(TaskSearch(taskGroupId=group_id, statuses=_LIVE_TASKS))

    @platform_call
    def group_tasks(self, group_id: str) -> list[TaskView]:
        """Every task of one group, ended ones too: one call per page."""
        return self._tasks(TaskSearch(taskGroupId=group_id))

    @platform_call
    def named_tasks(self, group_id: str, name: str) -> list[TaskView]:
        """The tasks of a group whose names contain this one, ended ones too: one call."""
        return self._tasks(TaskSearch(taskGroupId=group_id, name=name))

    @platform_call
    def ended_tasks(self, group_id: str, since: datetime, most: int) -> list[TaskView]:
        """The tasks of a group that have ended since a moment, but no more than `most`: one call per page."""
        finished = InstantRange(min=since)
        return self._tasks(TaskSearch(taskGroupId=group_id, statuses=_ENDED_TASKS, finishedTime=finished), most)

    @platform_call
    def started_tasks(self, group_id: str, since: datetime, most: int) -> list[TaskView]:
        """The live tasks of a group that have started since a moment, but no more than `most`: one call per page."""
        started = InstantRange(min=since)
        return self._tasks(TaskSearch(taskGroupId=group_id, statuses=_LIVE_TASKS, startedTime=started), most)

    @platform_call
    def allocated_tasks(self, group_id: str, most: int) -> list[TaskView]:
        """The tasks of a group that have a platform node and have not started, but no more than `most`."""
        return self._tasks(TaskSearch(taskGroupId=group_id, statuses=_ALLOCATED_TASKS), most)

    @platform_call
    def abort_task(self, task_id: str) -> TaskView:
        """Abort a task: a waiting one is withdrawn, an executing one gets SIGTERM."""
        subject = f"task {task_id}"
        with self._sdk(subject):
            task = self._client.work_client.cancel_task_by_id(task_id, abort=True)
        return task_view(entity(task, Task, subject))

    @platform_call
    def cancel_work_requirement(self, requirement_id: str) -> None:
        """Cancel a work requirement and abort its executing tasks. One that has already ended is no error."""
        try:
            with self._sdk(f"work requirement {requirement_id}"):
                self._client.work_client.cancel_work_requirement_by_id(requirement_id, abort=True)
        except (Refused, NotFound):
            if not self.work_requirement(requirement_id).finished:
                raise

    def _work_requirement(self, requirement_id: str) -> WorkRequirement:
        subject = f"work requirement {requirement_id}"
        with self._sdk(subject):
            found = self._client.work_client.get_work_requirement_by_id(requirement_id)
        return entity(found, WorkRequirement, subject)

    def _task(self, task_id: str) -> Task:
        subject = f"task {task_id}"
        with self._sdk(subject):
            found = self._client.work_client.get_task_by_id(task_id)
        return entity(found, Task, subject)

    def _tasks(self, search: TaskSearch, most: int | None = None) -> list[TaskView]:
        subject = "the cluster's tasks"
        with self._sdk(subject):
            results = self._client.work_client.get_tasks(search)
        return [task_view(task) for task in self._items(subject, results, Task, most)]


def work_search(
    namespace: str | None,
    name_part: str | None = None,
    *,
    finished: bool,
    tag: str | None = None,
    since: datetime | None = None,
) -> WorkRequirementSearch:
    """A search for work requirements; for those that have ended only if `finished`."""
    statuses = None if finished else [status for status in WorkRequirementStatus if not status.finished]
    created = InstantRange(min=since) if since else None
    return WorkRequirementSearch(namespace=namespace, name=name_part, tag=tag, statuses=statuses, createdTime=created)
