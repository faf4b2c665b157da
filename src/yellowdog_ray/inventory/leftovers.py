"""Entities that RayDog has created in a namespace and no living cluster owns: `raydog gc`.

A pool or compute requirement is RayDog's if a task group of one of RayDog's work requirements has its name as a tag.
Every pool's task group exists before the pool, and its name ends with a random token. A similar name proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from yellowdog_ray import names
from yellowdog_ray.cluster.ending import attempt, pool_tags, request_end
from yellowdog_ray.cluster.generations import find_last_work
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import tear_down
from yellowdog_ray.errors import MalformedResponse, NotFound, PlatformError, TeardownIncomplete
from yellowdog_ray.inventory.account import Account, cluster_of, published_by, token_of
from yellowdog_ray.inventory.summaries import YOUNG
from yellowdog_ray.inventory.unlisted import find_unlisted
from yellowdog_ray.names import STATE_GROUP
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import ComputeEntry, PoolEntry, WorkRequirementEntry, WorkRequirementView


@dataclass(frozen=True)
class Leftover:
    """The leftovers of one incarnation of a cluster.

    Attributes:
        youngest: when the youngest of it was created; None if YellowDog does not show the age of a part.
    """

    cluster: str
    work: WorkRequirementView
    pools: tuple[PoolEntry, ...]
    computes: tuple[ComputeEntry, ...]
    youngest: datetime | None

    @property
    def instances(self) -> int:
        """The number of its live instances."""
        return sum(sum(compute.instances.values()) for compute in self.computes)

    @property
    def reason(self) -> str:
        """Why no living cluster owns it."""
        if self.work.groups[0].name == STATE_GROUP:
            return "its head has not cancelled this record of its state"
        if self.work.finished:
            return "its work requirement has ended"
        return "its end was requested" if self.work.cancelling else "it has no head"


@dataclass(frozen=True)
class Leftovers:
    """All that no living cluster owns.

    Attributes:
        old: what may be removed.
        young: what has a part that is younger than `YOUNG`, or may be, and stays.
        unproven: names of pools and compute requirements that look like RayDog's, and stay: no work requirement that
            YellowDog still shows names them.
        unread: why it is unknown what some work requirements or pools belong to: they stay.
        is_dated: whether YellowDog's answers showed its time. Without it no age is known: this machine's clock may be
            wrong by hours.
    """

    old: tuple[Leftover, ...]
    young: tuple[Leftover, ...]
    unproven: tuple[str, ...]
    read_at: datetime
    is_dated: bool = True
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Removal:
    """The result of the removal of one leftover.

    Attributes:
        revived: whether a living head uses it, so that it stays.
        unseen: names of pools that had tasks, and that YellowDog showed neither by name nor in a list.
        failure: why something of it may be alive; None if YellowDog shows nothing alive.
    """

    leftover: Leftover
    revived: bool = False
    unseen: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def removed(self) -> bool:
        """Whether YellowDog shows nothing alive of it."""
        return not self.revived and self.failure is None


def read_leftovers(account: Account, namespace: str) -> Leftovers:
    """The leftovers of a namespace.

    Three calls, one for each work requirement that is unfinished or may own a living pool, and one for each without a
    living head. Pools that none of them names take the calls of `find_unlisted`.

    Raises:
        PlatformError: something could not be read, so that a living cluster may have been missed.
    """
    platform = account.within(namespace)
    with ThreadPoolExecutor(2) as background:
        pool_listing = background.submit(platform.live_pools, [namespace])
        compute_listing = background.submit(platform.live_computes, [namespace])
        entries = platform.all_work([namespace], finished=True)
        pools, computes = pool_listing.result(), compute_listing.result()
    pools = [pool for pool in pools if not pool.configured]
    shown = {pool.name for pool in pools} | {compute.name for compute in computes}
    alive = {name for name in shown if names.has_pool_form(name)}
    read, unread = _read(platform, _possible_owners(entries, alive))
    works = [(name, work) for work in read if (name := cluster_of(work)) is not None]
    unlisted = find_unlisted(account.within, ((namespace, pool) for pool in alive - _proven(works)))
    works += [(cluster.name, cluster.work) for cluster in unlisted.clusters]
    # A record of a head's state runs nothing, and proves nothing about pools.
    records = [
        (name, work)
        for work in read
        if not work.finished and (name := published_by(work)) is not None and not is_living(platform, work)
    ]
    now, is_dated = platform.clock.now(), platform.clock.is_set
    # A copy of a work requirement has the tags of the original: what a living cluster uses is nobody's leftover.
    living = {token_of(work) for _, work in works if is_living(platform, work)}
    dead = [(name, work) for name, work in [*works, *records] if token_of(work) not in living]
    candidates = [_leftover(name, work, pools, computes) for name, work in dead]
    leftovers = [one for one in candidates if one.pools or one.computes or not one.work.finished]
    old = tuple(one for one in leftovers if is_dated and one.youngest and now - one.youngest >= YOUNG)
    return Leftovers(
        old=old,
        young=tuple(one for one in leftovers if one not in old),
        unproven=tuple(sorted(alive - _proven(works) - {pool for _, pool in unlisted.unread})),
        read_at=now,
        is_dated=is_dated,
        unread=(*unread, *unlisted.reasons),
    )


def _proven(works: Iterable[tuple[str, WorkRequirementView]]) -> set[str]:
    """The names of the pools of clusters."""
    return {tag for _, work in works for tag in pool_tags(work)}


def _possible_owners(entries: Iterable[WorkRequirementEntry], alive: Iterable[str]) -> list[WorkRequirementEntry]:
    pools = tuple(alive)
    return [
        entry
        for entry in entries
        if not entry.finished or any(names.may_share_cluster(entry.name, pool) for pool in pools)
    ]


def _read(platform: Platform, entries: Sequence[WorkRequirementEntry]) -> tuple[list[WorkRequirementView], list[str]]:
    """The listed work requirements, and why single ones cannot be read although YellowDog answers.

    Such a one stays. Nothing of it is removed by a copy of it either: before that its cluster is read by its name.
    """
    found = run_concurrently(lambda entry: attempt(platform.work_requirement, entry.id), entries)
    for failure in found:
        if isinstance(failure, PlatformError) and not isinstance(failure, (NotFound, MalformedResponse)):
            raise failure
    unread = [
        f"work requirement {entry.name}: {work}"
        for entry, work in zip(entries, found, strict=True)
        if isinstance(work, PlatformError)
    ]
    return [work for work in found if isinstance(work, WorkRequirementView)], unread


def is_living(platform: Platform, work: WorkRequirementView) -> bool:
    """Whether a cluster has a head that has not ended: no call if the platform counts one, otherwise one.

    Without counts, a cluster whose head no list shows is taken for a living one. A record of a head's state never is,
    but a work requirement that only looks like one is in use if it has any task.
    """
    if work.finished or work.cancelling:
        return False
    head = work.groups[0]
    if head.name == STATE_GROUP:
        return published_by(work) is None or bool(platform.group_tasks(head.id))
    if head.counts is not None and head.counts.live:
        return True
    tasks = platform.group_tasks(head.id)
    if not tasks:
        return head.counts is None
    return any(not task.finished for task in tasks)


def _leftover(
    cluster: str, work: WorkRequirementView, pools: Iterable[PoolEntry], computes: Iterable[ComputeEntry]
) -> Leftover:
    tags = set(pool_tags(work))
    its_pools = tuple(pool for pool in pools if pool.name in tags)
    its_computes = tuple(compute for compute in computes if compute.name in tags)
    created = [work.created, *(pool.created for pool in its_pools), *(compute.created for compute in its_computes)]
    known = [moment for moment in created if moment is not None]
    return Leftover(cluster, work, its_pools, its_computes, max(known) if len(known) == len(created) else None)


def remove(platform: Platform, leftovers: Sequence[Leftover], progress: Progress) -> list[Removal]:
    """Remove leftovers as `ray down` would, and wait until YellowDog shows nothing alive of them.

    The end of all is requested before the wait for the first. One that cannot be removed does not affect the others.
    """
    checked = run_concurrently(partial(_check, platform), leftovers)
    for work in checked:
        if isinstance(work, WorkRequirementView):
            request_end(platform, work)
    return [
        _end(platform, one, work, progress) if isinstance(work, WorkRequirementView) else work
        for one, work in zip(leftovers, checked, strict=True)
    ]


def _check(platform: Platform, one: Leftover) -> WorkRequirementView | Removal:
    """The work requirement of a leftover that may still be removed, or why it stays."""
    try:
        work = platform.work_requirement(one.work.id)
        is_used = is_living(platform, work) or _is_copy_of_a_living_one(platform, one.cluster, work)
    except PlatformError as error:
        return Removal(one, failure=f"left alone: {error}")
    return Removal(one, revived=True) if is_used else work


def _is_copy_of_a_living_one(platform: Platform, cluster: str, work: WorkRequirementView) -> bool:
    """Whether the cluster of that name is alive with these very pools: a list may have left it out."""
    last = find_last_work(platform, cluster)
    if last is None or last.id == work.id or cluster_of(last) is None:
        return False
    return token_of(last) == token_of(work) and is_living(platform, last)


def _end(platform: Platform, one: Leftover, work: WorkRequirementView, progress: Progress) -> Removal:
    try:
        return Removal(one, unseen=tuple(tear_down(platform, work, progress, platform.clock, "raydog gc")))
    except (PlatformError, TeardownIncomplete) as error:
        return Removal(one, failure=str(error))
