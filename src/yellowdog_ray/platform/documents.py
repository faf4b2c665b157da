"""Calls that keep a text on the platform: in a work requirement that has no tasks and never gets any."""

from __future__ import annotations

from datetime import datetime, timedelta

from yellowdog_client.model import (
    RunSpecification,
    TaskGroup,
    TaskTemplate,
    WorkRequirement,
    WorkRequirementSummary,
)

from yellowdog_ray.names import STATE_GROUP, STATE_PART, publisher_of
from yellowdog_ray.platform.calls import Calls, Namespaces, platform_call
from yellowdog_ray.platform.convert import TASK_TYPE, is_finished, work_entry
from yellowdog_ray.platform.shapes import entity, identified
from yellowdog_ray.platform.types import WorkRequirementEntry
from yellowdog_ray.platform.work import work_search

_TASK_TIMEOUT = timedelta(minutes=1)  # of a task that somebody adds by hand


class DocumentCalls(Calls):
    """Texts on the platform."""

    @platform_call
    def create_document(self, name: str, tag: str, text: str) -> str:
        """Create a work requirement that holds a text, and that no YellowDog worker can serve. Returns its id.

        Args:
            name: its name.
            tag: its tag, and its worker tag: one that no pool has.
            text: the text.
        """
        group = TaskGroup(
            name=STATE_GROUP,
            tag=tag,
            runSpecification=RunSpecification(
                taskTypes=[TASK_TYPE], taskTimeout=_TASK_TIMEOUT, workerTags=[tag], namespaces=[self.namespace]
            ),
            finishIfAllTasksFinished=False,
            taskTemplate=TaskTemplate(taskType=TASK_TYPE, taskData=text),
        )
        subject = f"work requirement '{name}'"
        with self._sdk(subject):
            created = self._client.work_client.add_work_requirement(
                WorkRequirement(namespace=self.namespace, name=name, tag=tag, taskGroups=[group])
            )
        return identified(entity(created, WorkRequirement, subject).id, subject)

    @platform_call
    def documents(
        self, tag: str, *, finished: bool = True, since: datetime | None = None
    ) -> list[WorkRequirementEntry]:
        """The work requirements of the namespace with exactly this tag and a record's name: one call per page.

        Others of the tag are somebody else's.

        Args:
            tag: the tag; the platform may match more than that.
            finished: also those that have ended.
            since: only those that were created since then.
        """
        subject = f"the work requirements with tag '{tag}'"
        search = work_search(self.namespace, finished=finished, tag=tag, since=since)
        with self._sdk(subject):
            results = self._client.work_client.get_work_requirements(search)
        found = [item for item in self._items(subject, results, WorkRequirementSummary) if item.tag == tag]
        return [
            work_entry(item)
            for item in found
            if item.namespace == self.namespace
            and publisher_of(item.name or "", tag) is not None
            and (finished or not is_finished(item.status))
        ]

    @platform_call
    def recent_documents(self, namespaces: Namespaces, since: datetime) -> list[WorkRequirementEntry]:
        """The records of all heads in these namespaces that were created since then, ended ones too."""
        listed = self._listed(
            "the heads' records",
            namespaces,
            lambda namespace: self._client.work_client.get_work_requirements(
                work_search(namespace, STATE_PART, finished=True, since=since)
            ),
            WorkRequirementSummary,
            work_entry,
        )
        return [entry for entry in listed if publisher_of(entry.name, entry.tag) is not None]

    @platform_call
    def document(self, requirement_id: str) -> str:
        """The text that a work requirement holds as its only task group's template; empty for one without."""
        subject = f"work requirement {requirement_id}"
        with self._sdk(subject):
            found = self._client.work_client.get_work_requirement_by_id(requirement_id)
        groups = entity(found, WorkRequirement, subject).taskGroups or []
        group = groups[0] if len(groups) == 1 else None
        if not isinstance(group, TaskGroup) or group.name != STATE_GROUP:
            return ""
        template = group.taskTemplate
        text = template.taskData if isinstance(template, TaskTemplate) else None
        return text if isinstance(text, str) else ""
