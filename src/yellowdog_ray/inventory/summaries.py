"""All clusters of an account at one moment: `raydog list`. Changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import partial

from yellowdog_ray import names
from yellowdog_ray.cluster.ending import attempt
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.inventory.account import Account, cluster_of
from yellowdog_ray.inventory.idle_ends import IdleEnds, read_idle_ends
from yellowdog_ray.inventory.unlisted import FoundCluster, find_unlisted
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.platform.calls import Namespaces
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import (
    ComputeEntry,
    TaskGroupView,
    TaskPhase,
    WorkRequirementEntry,
    WorkRequirementView,
    oldest_first,
)

YOUNG = timedelta(minutes=10)
"""Age up to which a cluster without a head may be one that a `ray up` is creating."""

_GENERATION = re.compile(r"-generation-[0-9]+-[0-9a-f]{6}$")


class State(Enum):
    """The state of a cluster, as far as YellowDog shows it."""

    STARTING = "starting"
    UP = "up"
    ENDING = "ending"
    HEADLESS = "headless"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class TypeCounts:
    """The nodes of one task group.

    Attributes:
        node_type: the node type, as the task group's name shows it: a long or unusual one is shortened there.
        pending: nodes whose task has not started.
        running: nodes whose task runs.
        ended: nodes that have ended, since the cluster was created.
    """

    node_type: str
    pending: int
    running: int
    ended: int


@dataclass(frozen=True)
class ClusterSummary:
    """One cluster.

    Attributes:
        deadline: the end of its lifetime; None if the work requirement does not show it.
        idle_end: when it ends because it is idle, as its head has announced; None without such an announcement.
        node_types: the nodes of each task group; one without counts is left out.
        instances: the numbers of its live instances by status.
        creator: the id of the user or application that created its head's machine, if the platform shows it.
    """

    name: str
    namespace: str
    state: State
    work: WorkRequirementView
    deadline: datetime | None
    node_types: tuple[TypeCounts, ...] = ()
    instances: Mapping[str, int] = field(default_factory=dict)
    creator: str | None = None
    idle_end: datetime | None = None


@dataclass(frozen=True)
class Summaries:
    """All clusters that are alive.

    Attributes:
        read_at: the platform's time of the reading.
        unreadable: why some work requirements could not be read: a cluster may be among them.
        unowned: names of living compute requirements that look like RayDog's, and belong to no living cluster; none
            if a cluster may be unreadable.
        unread_idle_ends: why the announced ends of idle clusters could not be read.
    """

    clusters: tuple[ClusterSummary, ...]
    read_at: datetime
    unreadable: tuple[str, ...] = ()
    unowned: tuple[str, ...] = ()
    unread_idle_ends: str | None = None


def read_summaries(account: Account, namespace: str | None) -> Summaries:
    """The living clusters of a namespace, or of all that the key can read.

    Three calls, and one for each unfinished work requirement: a search shows no task groups. If there is any, another
    call reads the announced ends of idle clusters. Pools that no listed cluster owns take those of `find_unlisted`.

    Raises:
        PlatformError: a list could not be read.
    """
    platform = account.platform
    namespaces = account.namespaces(namespace)
    with ThreadPoolExecutor(2) as background:
        listing = background.submit(platform.live_computes, namespaces)
        entries = platform.all_work(namespaces)
        announced = background.submit(_idle_ends, platform, namespaces, entries)  # the clock is the platform's by now
        read = run_concurrently(lambda entry: attempt(platform.work_requirement, entry.id), entries)
        computes, ends = listing.result(), announced.result()
    now = platform.clock.now()
    listed = [
        FoundCluster(entry.namespace, name, work)
        for entry, work in zip(entries, read, strict=True)
        if isinstance(work, WorkRequirementView) and (name := cluster_of(work)) is not None
    ]
    failures = [
        f"{entry.name}: {work}" for entry, work in zip(entries, read, strict=True) if isinstance(work, Exception)
    ]
    unlisted = find_unlisted(account.within, [] if failures else _unowned(computes, listed))
    living = [*listed, *(cluster for cluster in unlisted.clusters if not cluster.work.finished)]
    unreadable = (*failures, *unlisted.reasons)
    summaries = [
        summary(one.name, one.namespace, one.work, _supply(one, computes), now, ends.of(one.namespace, one.work))
        for one in living
    ]
    return Summaries(
        clusters=tuple(sorted(summaries, key=_by_name_and_age)),
        read_at=now,
        unreadable=unreadable,
        unowned=() if unreadable else tuple(name for _, name in _unowned(computes, living)),
        unread_idle_ends=ends.failure,
    )


def _supply(cluster: FoundCluster, computes: Iterable[ComputeEntry]) -> list[ComputeEntry]:
    """The compute requirements of a cluster's pools."""
    tags = {group.worker_tag for group in cluster.work.groups}
    return [compute for compute in computes if compute.namespace == cluster.namespace and compute.name in tags]


def _unowned(computes: Iterable[ComputeEntry], clusters: Iterable[FoundCluster]) -> list[tuple[str, str]]:
    """Namespace and name of each compute requirement that looks like RayDog's, and is no such cluster's."""
    owned = {(one.namespace, group.worker_tag) for one in clusters for group in one.work.groups}
    shown = [(compute.namespace, compute.name) for compute in computes if names.has_pool_form(compute.name)]
    return [place for place in shown if place not in owned]


def _idle_ends(platform: Platform, namespaces: Namespaces, entries: Sequence[WorkRequirementEntry]) -> IdleEnds:
    """The announced ends of idle clusters in the namespaces that have unfinished work requirements."""
    if not entries:
        return IdleEnds()
    searched = None if namespaces is None else sorted({entry.namespace for entry in entries})
    return read_idle_ends(platform, searched)


def creator_names(account: Account, clusters: Iterable[ClusterSummary]) -> dict[str, str]:
    """The names of the clusters' creators by id: one call for each other than the key's own application.

    A creator whose name the key may not read is left out.
    """
    own = account.application
    others = sorted({cluster.creator for cluster in clusters if cluster.creator} - {own.id})
    read = run_concurrently(partial(_name, account.platform), others)
    found = {creator: name for creator, name in zip(others, read, strict=True) if name is not None}
    return {**found, own.id: own.name}


def _name(platform: Platform, creator: str) -> str | None:
    try:
        return platform.creator_name(creator)
    except PlatformError:
        return None


def summary(
    name: str,
    namespace: str,
    work: WorkRequirementView,
    computes: Sequence[ComputeEntry],
    now: datetime,
    idle_end: datetime | None,
) -> ClusterSummary:
    """The summary of one cluster, from its work requirement and the compute requirements of its pools. No call.

    Args:
        name: the cluster's name.
        namespace: its namespace.
        work: its work requirement.
        computes: the compute requirements of its pools.
        now: the platform's time.
        idle_end: the end that its head has announced; only a running head can bring it about.
    """
    head, state = work.groups[0], state_of(work, now)
    return ClusterSummary(
        name=name,
        namespace=namespace,
        state=state,
        work=work,
        deadline=work.created + head.task_timeout if work.created and head.task_timeout else None,
        node_types=tuple(counts for group in work.groups if (counts := _type_counts(group)) is not None),
        instances=_total(compute.instances for compute in computes),
        creator=next((compute.creator for compute in computes if compute.name == head.worker_tag), None),
        idle_end=idle_end if state is State.UP else None,
    )


def state_of(work: WorkRequirementView, now: datetime) -> State:
    """The state of a cluster, by its head's task. No call."""
    counts = work.groups[0].counts
    if work.finished:
        return State.ENDED
    if work.cancelling:
        return State.ENDING
    if counts is None:
        return State.UNKNOWN
    if counts.at.get(TaskPhase.EXECUTING, 0):
        return State.UP
    if counts.live:
        return State.STARTING
    if counts.ended:
        return State.HEADLESS
    if work.created is None:
        return State.UNKNOWN
    return State.STARTING if now - work.created < YOUNG else State.HEADLESS


def _by_name_and_age(cluster: ClusterSummary) -> tuple[str, str, tuple[bool, float]]:
    return cluster.namespace, cluster.name, oldest_first(cluster.work.created)


def node_type_of(group: TaskGroupView) -> str:
    """The node type of a task group, as far as its name shows it."""
    if group.name == HEAD_GROUP:
        return HEAD_GROUP
    return _GENERATION.sub("", group.name.rpartition("-")[0])


def _type_counts(group: TaskGroupView) -> TypeCounts | None:
    if group.counts is None:
        return None
    running = group.counts.at.get(TaskPhase.EXECUTING, 0)
    return TypeCounts(node_type_of(group), group.counts.live - running, running, group.counts.ended)


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for of_one in counts:
        for status, count in of_one.items():
            total[status] = total.get(status, 0) + count
    return total
