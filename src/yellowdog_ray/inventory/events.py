"""The past of one cluster, as far as YellowDog keeps it: `raydog events` and `raydog logs`. Needs no head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from yellowdog_ray.cluster.published import PublishedDecision
from yellowdog_ray.inventory.account import token_of
from yellowdog_ray.inventory.head_report import Decisions, read_decisions
from yellowdog_ray.inventory.status import NODE_TYPE_TAG
from yellowdog_ray.inventory.target import Found
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.history import MAX_TASKS, InstanceHistory, NodeHistory, TaskHistory
from yellowdog_ray.platform.types import ComputeEntry, PoolEntry, WorkRequirementView

AGENT_FOLDER = "/var/opt/yellowdog/agent/data/workers"
"""Where the YellowDog agent runs tasks (its documentation); the output of each is in a directory named by its id."""

NOT_KEPT = ("decisions of the last minutes that the head has not published yet (15 at most)",)
"""Events that only the autoscaler's log on the head has; they are lost with it."""

NOT_PUBLISHED = (
    "launch requests and back-offs of Ray's autoscaler",
    "why the autoscaler ended a node",
    "when Ray joined on a node",
)
"""The same for a head that publishes nothing (`publish_events: false`, or an older RayDog)."""


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        time: when; None if the platform does not show it.
        subject: the node, worker pool, machine or work requirement.
        node: the node that it concerns, if it is one node's.
        text: what happened.
    """

    time: datetime | None
    subject: str
    text: str
    node: str | None = None


@dataclass(frozen=True)
class NodeLog:
    """The platform's record of one node's task.

    Attributes:
        task_id: the YellowDog id of its task.
        status: its status, as YellowDog has it.
        errors: time and text of each error, with the exit code; a missing time is None.
        output: the file with the task's output on the node's machine.
        machine_alive: whether that machine can still be read; None if the node never had one.
    """

    node: str
    node_type: str
    task_id: str
    status: str
    started: datetime | None
    ended: datetime | None
    errors: tuple[tuple[datetime | None, str], ...]
    output: str
    machine_alive: bool | None


@dataclass(frozen=True)
class _Past:
    tasks: Sequence[TaskHistory]
    nodes: Sequence[NodeHistory]


@dataclass(frozen=True)
class Timeline:
    """The events of a cluster, oldest first, those without a time last; and what they cannot contain."""

    events: tuple[Event, ...]
    not_kept: tuple[str, ...]


def read_events(found: Found) -> Timeline:
    """The events of a cluster.

    Four calls, and one for each task group, each worker pool and each publication of the head. Pools that have ended
    are included as long as YellowDog shows them.

    Raises:
        PlatformError: a call failed.
    """
    platform, work = found.platform, found.work
    with ThreadPoolExecutor(3) as background:
        publications = background.submit(read_decisions, found)
        pool_listing = background.submit(platform.all_pools, [platform.namespace], token_of(work))
        compute_listing = background.submit(platform.all_computes, [platform.namespace], token_of(work))
        past = _read(found)
        published = publications.result()
        tags = {group.worker_tag for group in work.groups}
        pools = [pool for pool in pool_listing.result() if pool.name in tags]
        computes = [compute for compute in compute_listing.result() if compute.name in tags]
    instances = run_concurrently(lambda compute: platform.instance_history(compute.id), computes)
    names = _node_names(past)
    machines = {node.instance_id: names[node.id] for node in past.nodes if node.id in names}
    # In the order of cause and effect, which the sort keeps for equal times.
    events = [*_of_work(work)]
    events += [event for pool in pools for event in _of_pool(pool)]
    events += [event for compute in computes for event in _of_compute(compute)]
    events += [event for of_one in instances for instance in of_one for event in _of_instance(instance, machines)]
    events += [event for node in past.nodes for event in _of_node(node, names)]
    events += [event for task in past.tasks for event in _of_task(task)]
    events += [_of_decision(decision) for decision in published.decisions]
    events += _of_omissions(published)
    if len(past.tasks) >= MAX_TASKS:
        events.append(Event(None, "history", f"only {MAX_TASKS} of the cluster's tasks were read"))
    events.sort(key=lambda event: by_time(event.time))
    return Timeline(tuple(events), NOT_KEPT if published.publications else NOT_PUBLISHED)


def read_logs(found: Found) -> list[NodeLog]:
    """The platform's records of the nodes' tasks, in the order of their start: one call, and one for each task group.

    Raises:
        PlatformError: a call failed.
    """
    past = _read(found)
    alive = {node.id: node.deregistered is None and node.status in ("RUNNING", "LATE") for node in past.nodes}
    logs = [
        NodeLog(
            node=task.name,
            node_type=task.tags.get(NODE_TYPE_TAG, ""),
            task_id=task.id,
            status=task.status,
            started=task.started,
            ended=task.ended,
            errors=history.errors,
            output=f"{AGENT_FOLDER}/{task.id.replace(':', '_')}/taskoutput.txt",
            machine_alive=alive.get(task.platform_node_id, False) if task.platform_node_id else None,
        )
        for history in past.tasks
        if (task := history.task).tags or task.finished
    ]
    return sorted(logs, key=lambda log: by_time(log.started))


def by_time(time: datetime | None) -> tuple[bool, float]:
    """The place of a time in a sorted list: the oldest first, a missing one last."""
    return time is None, time.timestamp() if time else 0.0


def _read(found: Found) -> _Past:
    platform, work = found.platform, found.work
    with ThreadPoolExecutor(1) as background:
        tasks = background.submit(platform.task_history, work.id)
        groups = [group for group in work.groups if not group.configured]
        nodes = run_concurrently(lambda group: platform.node_history(group.worker_tag), groups)
        return _Past(tasks.result(), [node for of_group in nodes for node in of_group])


def _node_names(past: _Past) -> dict[str, str]:
    """The node of each platform node that a task was allocated to."""
    return {task.platform_node_id: task.name for history in past.tasks if (task := history.task).platform_node_id}


def _of_work(work: WorkRequirementView) -> Iterator[Event]:
    subject = f"work requirement {work.name}"
    yield Event(work.created, subject, "created")
    if work.finished or work.cancelling:
        yield Event(work.status_changed, subject, work.status.lower())


def _of_task(history: TaskHistory) -> Iterator[Event]:
    task = history.task
    if task.started:
        yield Event(task.started, task.name, "its task started", task.name)
    if history.abort_requested:
        yield Event(history.abort_requested, task.name, "its end was requested", task.name)
    for time, text in history.errors:
        yield Event(time, task.name, f"error: {text}", task.name)
    if task.finished:
        yield Event(task.ended, task.name, f"its task ended: {task.status.lower()}", task.name)


def _of_node(node: NodeHistory, names: Mapping[str, str]) -> Iterator[Event]:
    name = names.get(node.id)
    subject = name or f"machine {node.instance_id}"
    if node.registered:
        yield Event(node.registered, subject, f"machine {node.instance_id} registered", name)
    if node.spot_notice:
        yield Event(node.spot_notice, subject, f"spot notice for machine {node.instance_id}", name)
    if node.status in ("LATE", "LOST"):
        text = "sends no heartbeats" if node.status == "LATE" else "was lost"
        yield Event(node.status_changed, subject, f"machine {node.instance_id} {text}", name)
    if node.deregistered:
        yield Event(node.deregistered, subject, f"machine {node.instance_id} deregistered", name)


def _of_decision(decision: PublishedDecision) -> Event:
    """The event of a published decision. It is one node's if it is about one only."""
    nodes = f"{decision.count} node{'s' * (decision.count != 1)}" if decision.count else ""
    about = f"{nodes}{f' of type {decision.node_type}' if decision.node_type and nodes else ''}"
    code = f"{decision.code}: " if decision.code else ""
    more = ", ..." * (decision.count > len(decision.nodes))
    named = f" ({', '.join(decision.nodes)}{more})" if decision.nodes else ""
    subject = f"autoscaler, type {decision.node_type}" if decision.node_type else "autoscaler"
    text = " ".join(part for part in (decision.act, about) if part)
    node = decision.nodes[0] if decision.count == 1 and decision.nodes else None
    return Event(decision.time, subject, f"{text}: {code}{decision.text}{named}", node)


def _of_omissions(published: Decisions) -> Iterator[Event]:
    if published.omitted:
        yield Event(None, "history", f"the head has published {published.omitted} decisions less than it made")
    if published.unread:
        yield Event(None, "history", f"{published.unread} publications of the head were not read")


def _of_pool(pool: PoolEntry) -> Iterator[Event]:
    subject = f"worker pool {pool.name}"
    yield Event(pool.created, subject, "provisioned")
    if pool.finished:
        yield Event(pool.status_changed, subject, pool.status.lower())


def _of_compute(compute: ComputeEntry) -> Iterator[Event]:
    for message in compute.messages:
        yield Event(None, f"worker pool {compute.name}", f"error of a source: {message}")
    if compute.finished:
        yield Event(compute.status_changed, f"worker pool {compute.name}", "all instances have ended")


def _of_instance(instance: InstanceHistory, machines: Mapping[str, str]) -> Iterator[Event]:
    name = machines.get(instance.id)
    subject = name or f"machine {instance.id}"
    kind = f"{'spot ' if instance.spot else ''}{instance.instance_type or 'unknown type'}"
    yield Event(instance.created, subject, f"instance {instance.id} provisioned ({kind})", name)
    if instance.status in ("TERMINATING", "TERMINATED"):
        yield Event(instance.status_changed, subject, f"instance {instance.id} {instance.status.lower()}", name)
