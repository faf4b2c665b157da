"""The one module that speaks to YellowDog, by its SDK: typed views, own timeouts, typed failures. No word of Ray.

Every method is one platform call (or one per page) unless its docstring says otherwise. Nothing here decides; `cluster`
does. A creating call that fails with `Unavailable` may have been applied: look by name before trying again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from yellowdog_client import PlatformClient
from yellowdog_client.common import SearchClient
from yellowdog_client.model import (
    ApiKey,
    AutoShutdown,
    CloudProvider,
    ComputeRequirementStatus,
    ComputeRequirementTemplateUsage,
    InstanceSearch,
    InstanceStatus,
    InstanceTypeSearch,
    InstantRange,
    NodeSearch,
    RetryProperties,
    ServicesSchema,
    SliceReference,
    TaskSearch,
    TaskStatus,
    WorkRequirement,
    WorkRequirementSearch,
    WorkRequirementStatus,
)

from yellowdog_ray.credentials import Credentials
from yellowdog_ray.errors import NotFound, Refused
from yellowdog_ray.platform.convert import (
    LIVE_NODES,
    LONG_AGO,
    is_finished,
    named,
    platform_node_view,
    pool_view,
    source_messages,
    task_entity,
    task_group_entity,
    task_view,
    time_of,
    word_of,
    work_view,
)
from yellowdog_ray.platform.errors import sdk_errors
from yellowdog_ray.platform.provisioning import PoolSpec, pool_properties, template_usage
from yellowdog_ray.platform.retry import RetryPolicy, retried
from yellowdog_ray.platform.types import (
    ComputeView,
    MachineSize,
    PlatformNodeView,
    PoolView,
    TaskGroupSpec,
    TaskSpec,
    TaskView,
    WorkRequirementView,
)

PAGE_SIZE = 1_000
"""Entities per page: the most that the platform gives (SDK `model/slice_reference.py`)."""

TASK_BATCH_SIZE = 1_000
"""Tasks per adding call: the official CLI's default; the platform takes up to 10,000 (its `submit.py`)."""

TEMPLATE_SECONDS = 30.0
"""How long a template's id is known: node types often share one, and `ray up` needs it several times."""

CALLS_AT_ONCE = 20
"""Connections that are kept: for the aborts that go side by side, and for what is asked beside them."""

CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=20)
"""How long one call may keep the autoscaler's loop waiting at worst; a page of 1,000 tasks takes a second or two."""

_LIVE_TASKS = [status for status in TaskStatus if not status.finished]
_ENDED_TASKS = [status for status in TaskStatus if status.finished]
_ALLOCATED_TASKS = [TaskStatus.ALLOCATED, TaskStatus.DOWNLOADING]
_LIVE_WORK = [status for status in WorkRequirementStatus if not status.finished]
_LIVE_INSTANCES = [
    InstanceStatus.PENDING,
    InstanceStatus.RUNNING,
    InstanceStatus.STOPPING,
    InstanceStatus.STOPPED,
    InstanceStatus.TERMINATING,
]

T = TypeVar("T")


class Platform:
    """YellowDog, as far as a cluster needs it. Thread-safe.

    Args:
        credentials: the key, and the platform that it is for.
        namespace: where everything is made.
        retry_policy: how long failing calls are repeated; `account_name`, the check of the key, never is.
    """

    def __init__(
        self,
        credentials: Credentials,
        namespace: str,
        retry_policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
    ) -> None:
        self.url = credentials.url
        self.namespace = namespace
        self.retry_policy = retry_policy
        self._template_ids: dict[str, tuple[float, str]] = {}
        self._client = PlatformClient.create(
            ServicesSchema(
                defaultUrl=credentials.url,
                retry=RetryProperties(maxAttempts=0),
                connectionTimeout=CONNECT_TIMEOUT,
                readTimeout=READ_TIMEOUT,
            ),
            ApiKey(credentials.key_id, credentials.key_secret),
        )
        _widen(self._client)

    # What the platform knows of us and of what we name

    def account_name(self) -> str:
        """The account that the key belongs to; the cheapest proof that the key works."""
        with sdk_errors("the application's details"):
            return str(self._client.application_client.get_application_details().accountName)

    @retried
    def template_id(self, reference: str) -> str:
        """The id of a compute requirement template, which must exist: one call, or none if it was asked a moment ago.

        Args:
            reference: its id, or its `namespace/name`.
        """
        asked, known = self._template_ids.get(reference, (-math.inf, ""))
        now = self.retry_policy.monotonic()
        if now - asked < TEMPLATE_SECONDS:
            return known
        compute = self._client.compute_client
        with sdk_errors(f"compute requirement template '{reference}'"):
            if reference.startswith("ydid:"):
                template = compute.get_compute_requirement_template_by_id(reference)
            else:
                namespace, _, name = reference.rpartition("/")
                template = compute.get_compute_requirement_template_by_name(namespace, name)
            found = named(template.id)
        self._template_ids[reference] = now, found
        return found

    # Sizes of machines

    @retried
    def instance_types_of(self, template: str) -> list[tuple[str | None, str]]:
        """Provider and name of each instance type that a template's sources have: two calls, which make nothing."""
        usage = ComputeRequirementTemplateUsage(
            templateId=self.template_id(template),
            requirementName="raydog-size",
            requirementNamespace=self.namespace,
            targetInstanceCount=1,
        )
        with sdk_errors(f"compute requirement template '{template}'"):
            planned = self._client.compute_client.test_compute_requirement_template(usage).computeRequirement
            sources = getattr(planned.provisionStrategy, "sources", None) or [] if planned else []
            types = [(word_of(s.provider) if s.provider else None, s.instanceType) for s in sources if s.instanceType]
        return list(dict.fromkeys(types))

    @retried
    def instance_type(self, provider: str | None, name: str) -> MachineSize | None:
        """What YellowDog knows of a cloud's instance type: one call. None if it knows none of that name."""
        providers = [CloudProvider[provider]] if provider else None
        search = InstanceTypeSearch(providers=providers, name=name)
        with sdk_errors(f"instance type '{name}'"):
            for kind in _pages(self._client.cloud_info_client.get_instance_types(search)):
                # The platform may match parts of names.
                if kind.name == name and kind.defaultVcpus and kind.ramInMib:
                    return MachineSize(kind.defaultVcpus, kind.ramInMib / 1024, sum((kind.defaultGpus or {}).values()))
        return None

    @retried
    def seen_sizes(self, provider: str | None, instance_type: str) -> list[MachineSize]:
        """What some platform nodes of an instance type have, of any pool that this key sees: one call."""
        search = NodeSearch(instanceType=instance_type, providers=[CloudProvider[provider]] if provider else None)
        with sdk_errors(f"the nodes of instance type '{instance_type}'"):
            page = self._client.worker_pool_client.get_nodes(search).slice(SliceReference(size=PAGE_SIZE))
            views = [platform_node_view(node) for node in page.items or ()]
        return [view.size for view in views if view.size]

    # Work

    @retried
    def find_work_requirement(self, name: str, *, finished: bool = False) -> WorkRequirementView | None:
        """The work requirement of exactly this name: two calls.

        Args:
            name: the whole name; the platform's search for parts of names is narrowed here.
            finished: also accept one that has ended; then the youngest of all counts.
        """
        search = WorkRequirementSearch(namespace=self.namespace, name=name, statuses=None if finished else _LIVE_WORK)
        with sdk_errors(f"work requirement '{name}'"):
            found = [
                summary
                for summary in _pages(self._client.work_client.get_work_requirements(search))
                # The platform matches parts of names.
                if summary.name == name and summary.namespace == self.namespace
            ]
            if not found:
                return None
            youngest = max(found, key=lambda summary: (not is_finished(summary.status), time_of(summary.createdTime)))
        return self.work_requirement(str(youngest.id))

    @retried
    def work_requirement(self, requirement_id: str) -> WorkRequirementView:
        """The work requirement's present state, with its task groups' counts."""
        with sdk_errors(f"work requirement {requirement_id}"):
            return work_view(self._client.work_client.get_work_requirement_by_id(requirement_id))

    @retried
    def create_work_requirement(self, name: str, tag: str | None, group: TaskGroupSpec) -> WorkRequirementView:
        """Make a work requirement with its first task group."""
        requirement = WorkRequirement(
            namespace=self.namespace, name=name, tag=tag, taskGroups=[task_group_entity(group, self.namespace)]
        )
        with sdk_errors(f"work requirement '{name}'"):
            return work_view(self._client.work_client.add_work_requirement(requirement))

    @retried
    def add_task_group(self, requirement_id: str, group: TaskGroupSpec) -> WorkRequirementView:
        """Add a task group: two calls, a read and a write (the platform takes work requirements whole)."""
        with sdk_errors(f"task group '{group.name}'"):
            requirement = self._client.work_client.get_work_requirement_by_id(requirement_id)
            requirement.taskGroups = [*(requirement.taskGroups or []), task_group_entity(group, self.namespace)]
            return work_view(self._client.work_client.update_work_requirement(requirement))

    @retried
    def add_tasks(self, group_id: str, specs: Sequence[TaskSpec]) -> list[TaskView]:
        """Add tasks: one call per `TASK_BATCH_SIZE` of them."""
        added: list[TaskView] = []
        for start in range(0, len(specs), TASK_BATCH_SIZE):
            batch = [task_entity(spec) for spec in specs[start : start + TASK_BATCH_SIZE]]
            with sdk_errors(f"{len(batch)} tasks"):
                tasks = self._client.work_client.add_tasks_to_task_group_by_id(group_id, batch)
                added += [task_view(task) for task in tasks]
        return added

    @retried
    def live_tasks(self, requirement_id: str) -> list[TaskView]:
        """Every task that has not ended, of all groups: one call per page."""
        return self._tasks(TaskSearch(workRequirementId=requirement_id, statuses=_LIVE_TASKS))

    @retried
    def ended_tasks(self, group_id: str, since: datetime, most: int) -> list[TaskView]:
        """The tasks of a group that have ended since a moment, but no more than `most`: one call per page."""
        finished = InstantRange(min=since)
        return self._tasks(TaskSearch(taskGroupId=group_id, statuses=_ENDED_TASKS, finishedTime=finished), most)

    @retried
    def started_tasks(self, group_id: str, since: datetime, most: int) -> list[TaskView]:
        """The live tasks of a group that have started since a moment, but no more than `most`: one call per page."""
        started = InstantRange(min=since)
        return self._tasks(TaskSearch(taskGroupId=group_id, statuses=_LIVE_TASKS, startedTime=started), most)

    @retried
    def allocated_tasks(self, group_id: str, most: int) -> list[TaskView]:
        """The tasks of a group that have a platform node and have not started, but no more than `most`."""
        return self._tasks(TaskSearch(taskGroupId=group_id, statuses=_ALLOCATED_TASKS), most)

    @retried
    def live_group_tasks(self, group_id: str) -> list[TaskView]:
        """Every task of one group that has not ended: one call per page."""
        return self._tasks(TaskSearch(taskGroupId=group_id, statuses=_LIVE_TASKS))

    @retried
    def named_tasks(self, group_id: str, name: str) -> list[TaskView]:
        """The tasks of a group whose names contain this one, ended ones too: one call."""
        return self._tasks(TaskSearch(taskGroupId=group_id, name=name))

    @retried
    def group_tasks(self, group_id: str) -> list[TaskView]:
        """Every task of one group, ended ones too: one call per page."""
        return self._tasks(TaskSearch(taskGroupId=group_id))

    @retried
    def task_spec(self, task_id: str) -> TaskSpec:
        """What a task was made of, so that another can be made like it."""
        with sdk_errors(f"task {task_id}"):
            task = self._client.work_client.get_task_by_id(task_id)
            environment, timeout = dict(task.environment or {}), task.timeout or timedelta(0)
            return TaskSpec(named(task.name), task.taskData or "", environment, timeout)

    @retried
    def abort_task(self, task_id: str) -> TaskView:
        """Ask the platform to end a task: a waiting one is withdrawn, an executing one gets SIGTERM."""
        with sdk_errors(f"task {task_id}"):
            return task_view(self._client.work_client.cancel_task_by_id(task_id, abort=True))

    @retried
    def cancel_work_requirement(self, requirement_id: str) -> None:
        """End a work requirement and abort what it executes. One that has already ended is no error."""
        try:
            with sdk_errors(f"work requirement {requirement_id}"):
                self._client.work_client.cancel_work_requirement_by_id(requirement_id, abort=True)
        except (Refused, NotFound):
            if not self.work_requirement(requirement_id).finished:
                raise

    # Worker pools

    @retried
    def find_pool(self, name: str) -> PoolView | None:
        """The worker pool of exactly this name, or None."""
        try:
            with sdk_errors(f"worker pool '{name}'"):
                return pool_view(self._client.worker_pool_client.get_worker_pool_by_name(self.namespace, name))
        except NotFound:
            return None

    @retried
    def existing_pool(self, reference: str) -> PoolView:
        """A worker pool that somebody else looks after, by its id or its `namespace/name`; it must exist."""
        pools = self._client.worker_pool_client
        with sdk_errors(f"worker pool '{reference}'"):
            if reference.startswith("ydid:"):
                return pool_view(pools.get_worker_pool_by_id(reference))
            namespace, _, name = reference.rpartition("/")
            return pool_view(pools.get_worker_pool_by_name(namespace, name))

    @retried
    def create_pool(self, spec: PoolSpec) -> PoolView:
        """Provision a worker pool: two calls, since only ids are sure to be understood. Now money is spent."""
        usage = template_usage(spec, self.template_id(spec.machine.template), self.namespace)
        with sdk_errors(f"worker pool '{spec.name}'"):
            return pool_view(self._client.worker_pool_client.provision_worker_pool(usage, pool_properties(spec)))

    @retried
    def pool(self, pool_id: str) -> PoolView:
        """A worker pool's present state."""
        with sdk_errors(f"worker pool {pool_id}"):
            return pool_view(self._client.worker_pool_client.get_worker_pool_by_id(pool_id))

    @retried
    def shut_down_pool(self, pool_id: str) -> None:
        """End a worker pool: what executes may finish, then its instances go. Repeating it is no error."""
        with sdk_errors(f"worker pool {pool_id}"):
            self._client.worker_pool_client.shutdown_worker_pool_by_id(pool_id)

    @retried
    def platform_nodes(self, pool_id: str, since: datetime | None = None) -> list[PlatformNodeView]:
        """Every living platform node of a pool, with its addresses: one call per page.

        Args:
            pool_id: the pool.
            since: leave out those that registered before.
        """
        registered = InstantRange(min=since) if since else None
        search = NodeSearch(workerPoolId=pool_id, statuses=LIVE_NODES, registeredTime=registered)
        with sdk_errors(f"the nodes of worker pool {pool_id}"):
            return [platform_node_view(node) for node in _pages(self._client.worker_pool_client.get_nodes(search))]

    @retried
    def tagged_nodes(self, worker_tag: str) -> list[PlatformNodeView]:
        """Every living platform node, of any pool that this key sees, with this worker tag: one call per page."""
        search = NodeSearch(workerTag=worker_tag, statuses=LIVE_NODES)
        with sdk_errors(f"the nodes with worker tag '{worker_tag}'"):
            return [platform_node_view(node) for node in _pages(self._client.worker_pool_client.get_nodes(search))]

    @retried
    def platform_node(self, node_id: str) -> PlatformNodeView:
        """One platform node."""
        with sdk_errors(f"platform node {node_id}"):
            return platform_node_view(self._client.worker_pool_client.get_node_by_id(node_id))

    @retried
    def warned_nodes(self) -> list[PlatformNodeView]:
        """Every platform node, of any pool that this key sees, that lives and is going to be taken away: one call."""
        search = NodeSearch(statuses=LIVE_NODES, preemptionWarningTime=InstantRange(min=LONG_AGO))
        with sdk_errors("the nodes that are about to be lost"):
            return [platform_node_view(node) for node in _pages(self._client.worker_pool_client.get_nodes(search))]

    @retried
    def shut_down_node(self, node_id: str) -> None:
        """End a platform node, its instance with it, once its tasks have ended."""
        with sdk_errors(f"platform node {node_id}"):
            self._client.worker_pool_client.shutdown_node_by_id(node_id)

    # Compute

    @retried
    def compute(self, requirement_id: str) -> ComputeView:
        """State of a pool's compute requirement: two calls."""
        with sdk_errors(f"compute requirement {requirement_id}"):
            requirement = self._client.compute_client.get_compute_requirement_by_id(requirement_id)
            search = InstanceSearch(computeRequirementId=requirement_id, statuses=_LIVE_INSTANCES)
            instances = list(_pages(self._client.compute_client.get_instances(search)))
            return ComputeView(
                status=word_of(requirement.status),
                finished=requirement.status is ComputeRequirementStatus.TERMINATED,
                live_instances=len(instances),
                instance_statuses=tuple(sorted({word_of(instance.status) for instance in instances})),
                messages=source_messages(requirement),
            )

    @retried
    def end_compute_after(self, requirement_id: str, time: timedelta) -> None:
        """Let the platform itself end every instance of a compute requirement, this long from now, and make no more."""
        end = AutoShutdown(enabled=True, timeout=time)
        with sdk_errors(f"compute requirement {requirement_id}"):
            self._client.compute_client.update_compute_requirement_auto_shutdown(requirement_id, end)

    @retried
    def terminate_compute(self, requirement_id: str) -> None:
        """End every instance of a compute requirement at once."""
        with sdk_errors(f"compute requirement {requirement_id}"):
            self._client.compute_client.terminate_compute_requirement_by_id(requirement_id)

    @retried
    def terminate_instance(self, requirement_id: str, instance_id: str) -> None:
        """End one instance at once, whatever runs on it: two calls, and one per page of the requirement's instances.

        One that is gone already is no error.
        """
        compute = self._client.compute_client
        with sdk_errors(f"instance {instance_id}"):
            search = InstanceSearch(computeRequirementId=requirement_id, statuses=_LIVE_INSTANCES)
            ids = [instance.id for instance in _pages(compute.get_instances(search)) if instance.id]
            named = [known for known in ids if known.instanceId == instance_id]
            if named:
                compute.terminate_instances_by_id(compute.get_compute_requirement_by_id(requirement_id), named)

    def _tasks(self, search: TaskSearch, most: int | None = None) -> list[TaskView]:
        with sdk_errors("the cluster's tasks"):
            tasks = islice(_pages(self._client.work_client.get_tasks(search)), most)
            return [task_view(task) for task in tasks]


def _widen(client: PlatformClient) -> None:
    """Let the SDK's session keep as many connections as there are calls at once, which it has no option for."""
    session = getattr(client, "_PlatformClient__session", None)
    for adapter in session.adapters.values() if session else ():
        adapter.init_poolmanager(CALLS_AT_ONCE, CALLS_AT_ONCE)


def _pages(search: SearchClient[T]) -> Iterable[T]:
    """All results, in pages as large as the platform allows."""
    slice_id: str | None = None
    while True:
        page = search.slice(SliceReference(sliceId=slice_id, size=PAGE_SIZE))
        if page.items is None:
            # The SDK makes a page without items of any other JSON; taken for an empty list it would cost every node.
            raise ValueError("a page of a list has no items")
        yield from page.items
        slice_id = page.nextSliceId
        if slice_id is None:
            return


Factory = Callable[[], Platform]
