"""One cluster with its nodes and pools at one moment: `raydog status`. Changes nothing, and needs no head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from yellowdog_ray.cluster.platform_nodes import PlatformNodes
from yellowdog_ray.cluster.published import HeadState, idle_end
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.inventory.account import token_of
from yellowdog_ray.inventory.head_report import age, read_state
from yellowdog_ray.inventory.idle_ends import MOST_AGE
from yellowdog_ray.inventory.summaries import ClusterSummary, node_type_of, summary
from yellowdog_ray.inventory.target import Found
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import (
    ComputeEntry,
    PlatformNodeView,
    TaskGroupView,
    TaskPhase,
    TaskView,
    WorkRequirementView,
)

NODE_TYPE_TAG = "ray-user-node-type"
"""Ray's `TAG_RAY_USER_NODE_TYPE`: the import of its module takes half a second."""

ON_THE_HEAD = ("whether Ray has joined on a node", "Ray's resources, and how long each node has been idle")
"""Facts that only the head can report."""

NOT_PUBLISHED = ("Ray's waiting demand", "back-offs of node types and the time of their next launch")
"""Facts that only the head can report while it has published nothing."""


@dataclass(frozen=True)
class NodeStatus:
    """One node.

    Attributes:
        phase: `pending`, `running`, or `ending` if its end was requested.
        reason: why it is in this phase, as far as the platform shows it.
        started: when its task started; the platform does not show when a pending node was submitted.
        machine: its platform node, or None while it has none that the platform shows.
    """

    id: str
    node_type: str
    is_head: bool
    phase: str
    reason: str
    started: datetime | None
    machine: PlatformNodeView | None


@dataclass(frozen=True)
class PoolStatus:
    """The machines of one task group.

    Attributes:
        name: the name of the worker pool and of its compute requirement; of a configured pool's group, its task group.
        status: the status of the compute requirement; `configured` for the user's own machines; `not shown` if
            YellowDog shows no living one.
        instances: the numbers of its live instances by status.
        messages: the errors of its sources.
    """

    name: str
    node_type: str
    status: str
    instances: Mapping[str, int] = field(default_factory=dict)
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterStatus:
    """A cluster, its nodes and its pools.

    Attributes:
        read_at: the platform's time of the reading.
        copies: names of tasks that are no nodes: copied, or added by hand.
        unlisted: how many more nodes the platform counts than it lists; below 0 for fewer.
        head: the state that the head has published last, or None.
        head_failure: why it could not be read.
    """

    cluster: ClusterSummary
    nodes: tuple[NodeStatus, ...]
    pools: tuple[PoolStatus, ...]
    read_at: datetime
    copies: tuple[str, ...] = ()
    unlisted: int = 0
    head: HeadState | None = None
    head_failure: str | None = None


def read_status(found: Found) -> ClusterStatus:
    """The status of a cluster.

    Four calls, and one for each task group with machines; lists of more than 1,000 entries take more.

    Raises:
        PlatformError: a call failed.
    """
    platform, work = found.platform, found.work
    with ThreadPoolExecutor(3) as background:
        publication = background.submit(_published, found)
        listing = background.submit(platform.live_computes, [platform.namespace], token_of(work))
        machines = background.submit(_tagged_nodes, platform, work)
        tasks = [] if work.finished else platform.live_tasks(work.id)
        known = {**machines.result()}
        computes = listing.result()
        head, head_failure = publication.result()
    known |= _others(platform, work, tasks, known)
    now = platform.clock.now()
    supply = {compute.name: compute for compute in computes}
    groups = {group.id: group for group in work.groups}
    of_ours = [task for task in tasks if _is_node(task, groups)]
    nodes = [
        _node(task, groups[task.group_id], supply.get(groups[task.group_id].worker_tag), known) for task in of_ours
    ]
    counted = sum(group.counts.live for group in work.groups if group.counts)
    tags = {group.worker_tag for group in work.groups}
    ours = [compute for compute in computes if compute.name in tags]
    return ClusterStatus(
        cluster=summary(found.name, platform.namespace, work, ours, now, _idle_end(head, now)),
        nodes=tuple(sorted(nodes, key=lambda node: (not node.is_head, node.node_type, node.id))),
        pools=tuple(_pool(group, supply.get(group.worker_tag)) for group in work.groups),
        read_at=now,
        copies=tuple(task.name for task in tasks if not _is_node(task, groups)),
        unlisted=counted - len(tasks),
        head=head,
        head_failure=head_failure,
    )


def _is_node(task: TaskView, groups: Mapping[str, TaskGroupView]) -> bool:
    """Whether a task is a node of the cluster."""
    return bool(task.tags) and task.group_id in groups


def _published(found: Found) -> tuple[HeadState | None, str | None]:
    """The head's state, or why it cannot be read: the rest of the status does not depend on it."""
    try:
        return read_state(found), None
    except PlatformError as error:
        return None, str(error)


def _idle_end(head: HeadState | None, now: datetime) -> datetime | None:
    return idle_end(head) if head is not None and age(head, now) <= MOST_AGE else None


def _tagged_nodes(platform: Platform, work: WorkRequirementView) -> dict[str, PlatformNodeView]:
    """The platform nodes of the pools with the cluster's own tags: one call for each that has tasks with machines."""
    groups = [group for group in work.groups if not group.configured and _has_machines(group)]
    lists = run_concurrently(lambda group: platform.tagged_nodes(group.worker_tag), groups)
    return {node.id: node for nodes in lists for node in nodes}


def _has_machines(group: TaskGroupView) -> bool:
    if group.counts is None:
        return True
    return group.counts.live > group.counts.at.get(TaskPhase.WAITING, 0)


def _others(
    platform: Platform, work: WorkRequirementView, tasks: Iterable[TaskView], known: Mapping[str, PlatformNodeView]
) -> Mapping[str, PlatformNodeView]:
    """The platform nodes that no tag of the cluster shows, such as those of configured pools."""
    unknown = [task for task in tasks if task.platform_node_id and task.platform_node_id not in known]
    if not unknown:
        return {}
    reader = PlatformNodes(platform, platform.clock.monotonic)
    reader.update(unknown, work.groups)
    return reader.known


def _node(
    task: TaskView, group: TaskGroupView, compute: ComputeEntry | None, known: Mapping[str, PlatformNodeView]
) -> NodeStatus:
    machine = known.get(task.platform_node_id or "")
    phase = "ending" if task.abort_requested else "running" if task.executing else "pending"
    return NodeStatus(
        id=task.name,
        node_type=task.tags.get(NODE_TYPE_TAG) or node_type_of(group),
        is_head=group.name == HEAD_GROUP,
        phase=phase,
        reason=_reason(task, group, compute, machine),
        started=task.started,
        machine=machine,
    )


def _reason(
    task: TaskView, group: TaskGroupView, compute: ComputeEntry | None, machine: PlatformNodeView | None
) -> str:
    if task.abort_requested:
        return "its end was requested"
    if task.phase is TaskPhase.WAITING:
        return _reason_of_waiting(group, compute)
    if machine is None:
        return "YellowDog does not show its machine: it may be lost"
    if machine.spot_notice:
        return f"spot notice at {machine.spot_notice:%H:%M:%S} UTC"
    return "" if task.executing else "its machine has registered, and its task starts"


def _reason_of_waiting(group: TaskGroupView, compute: ComputeEntry | None) -> str:
    if group.configured:
        return "waits for a free machine of the configured pool"
    if compute is None:
        return "its worker pool has ended, or is not shown yet"
    if compute.messages:
        return f"no machine: {compute.messages[0]}"
    booting = compute.instances.get("PENDING", 0)
    if booting:
        return f"waits for a machine: {booting} start{'s' * (booting == 1)}"
    return "waits for a machine to register"


def _pool(group: TaskGroupView, compute: ComputeEntry | None) -> PoolStatus:
    node_type = node_type_of(group)
    if group.configured:
        return PoolStatus(group.name, node_type, "configured")
    if compute is None:
        return PoolStatus(group.worker_tag, node_type, "not shown")
    return PoolStatus(group.worker_tag, node_type, compute.status, compute.instances, compute.messages)


def unknown_without_head(status: ClusterStatus) -> Sequence[str]:
    """The facts that this status cannot show, because only the head can report them."""
    if status.cluster.work.finished:
        return ()
    return ON_THE_HEAD if status.head else (*ON_THE_HEAD, *NOT_PUBLISHED)
