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
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.inventory.account import Account, cluster_of, read_listed
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import (
    ComputeEntry,
    TaskGroupView,
    TaskPhase,
    WorkRequirementEntry,
    WorkRequirementView,
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


@dataclass(frozen=True)
class Summaries:
    """All clusters that are alive.

    Attributes:
        read_at: the platform's time of the reading.
        unreadable: why some work requirements could not be read: a cluster may be among them.
        unowned: names of living compute requirements that look like RayDog's, and belong to no living cluster; none
            if a cluster may be unreadable.
    """

    clusters: tuple[ClusterSummary, ...]
    read_at: datetime
    unreadable: tuple[str, ...] = ()
    unowned: tuple[str, ...] = ()


def read_summaries(account: Account, namespace: str | None) -> Summaries:
    """The living clusters of a namespace, or of all that the key can read.

    Three calls, and one for each unfinished work requirement: a search shows no task groups.

    Raises:
        PlatformError: a list could not be read.
    """
    platform = account.platform
    namespaces = account.namespaces(namespace)
    with ThreadPoolExecutor(1) as background:
        listing = background.submit(platform.live_computes, namespaces)
        entries = platform.all_work(namespaces)
        read = run_concurrently(lambda entry: _read(platform, entry), entries)
        computes = listing.result()
    now = platform.clock.now()
    clusters = []
    owned: set[tuple[str, str]] = set()
    for entry, work in zip(entries, read, strict=True):
        name = cluster_of(work) if isinstance(work, WorkRequirementView) else None
        if isinstance(work, WorkRequirementView) and name is not None:
            tags = {group.worker_tag for group in work.groups}
            owned |= {(entry.namespace, tag) for tag in tags}
            supply = [compute for compute in computes if compute.namespace == entry.namespace and compute.name in tags]
            clusters.append(summary(name, entry.namespace, work, supply, now))
    unreadable = tuple(str(work) for work in read if isinstance(work, PlatformError))
    strange = [compute.name for compute in computes if (compute.namespace, compute.name) not in owned]
    return Summaries(
        clusters=tuple(sorted(clusters, key=lambda cluster: (cluster.namespace, cluster.name, cluster.work.created))),
        read_at=now,
        unreadable=unreadable,
        unowned=() if unreadable else tuple(filter(names.has_pool_form, strange)),
    )


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


def _read(platform: Platform, entry: WorkRequirementEntry) -> WorkRequirementView | PlatformError | None:
    """A work requirement, or why it cannot be read; None for one that is gone."""
    try:
        return read_listed(platform, entry)
    except PlatformError as error:
        return error


def summary(
    name: str, namespace: str, work: WorkRequirementView, computes: Sequence[ComputeEntry], now: datetime
) -> ClusterSummary:
    """The summary of one cluster, from its work requirement and the compute requirements of its pools. No call."""
    head = work.groups[0]
    return ClusterSummary(
        name=name,
        namespace=namespace,
        state=state_of(work, now),
        work=work,
        deadline=work.created + head.task_timeout if head.task_timeout else None,
        node_types=tuple(counts for group in work.groups if (counts := _type_counts(group)) is not None),
        instances=_total(compute.instances for compute in computes),
        creator=next((compute.creator for compute in computes if compute.name == head.worker_tag), None),
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
    is_new = not counts.ended and now - work.created < YOUNG
    return State.STARTING if is_new else State.HEADLESS


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
