"""What RayDog has created in a namespace and no living cluster owns: `raydog gc`.

A pool or compute requirement is RayDog's if a task group of one of RayDog's work requirements has its name as a tag.
Every pool's task group exists before the pool, and its name ends with a random token. A similar name proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from yellowdog_ray import names
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import pool_tags, request_end, tear_down
from yellowdog_ray.inventory.account import Account, cluster_of, token_of
from yellowdog_ray.inventory.summaries import YOUNG
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import ComputeEntry, PoolEntry, WorkRequirementEntry, WorkRequirementView


@dataclass(frozen=True)
class Leftover:
    """What one incarnation of a cluster has left.

    Attributes:
        youngest: when the youngest of it was created.
    """

    cluster: str
    work: WorkRequirementView
    pools: tuple[PoolEntry, ...]
    computes: tuple[ComputeEntry, ...]
    youngest: datetime

    @property
    def instances(self) -> int:
        """The number of its live instances."""
        return sum(sum(compute.instances.values()) for compute in self.computes)

    @property
    def reason(self) -> str:
        """Why no living cluster owns it."""
        if self.work.finished:
            return "its work requirement has ended"
        return "its end was requested" if self.work.cancelling else "it has no head"


@dataclass(frozen=True)
class Leftovers:
    """All that no living cluster owns.

    Attributes:
        old: what may be removed.
        young: what has a part that is younger than `YOUNG`, and stays.
        unproven: names of pools and compute requirements that look like RayDog's, and stay: no work requirement that
            YellowDog still shows names them.
    """

    old: tuple[Leftover, ...]
    young: tuple[Leftover, ...]
    unproven: tuple[str, ...]
    read_at: datetime


def read_leftovers(account: Account, namespace: str) -> Leftovers:
    """The leftovers of a namespace.

    Three calls, one for each work requirement that is unfinished or may own a living pool, and one for each without a
    living head.

    Raises:
        PlatformError: something could not be read, so that a living cluster may have been missed.
    """
    platform = account.within(namespace)
    with ThreadPoolExecutor(2) as background:
        pool_listing = background.submit(platform.live_pools, [namespace])
        compute_listing = background.submit(platform.live_computes, [namespace])
        entries = platform.all_work([namespace], finished=True)
        pools, computes = pool_listing.result(), compute_listing.result()
    shown = {pool.name for pool in pools} | {compute.name for compute in computes}
    alive = {name for name in shown if names.has_pool_form(name)}
    works = _clusters(platform, _possible_owners(entries, alive))
    now = platform.clock.now()
    # A copy of a work requirement has the tags of the original: what a living cluster uses is nobody's leftover.
    living = {token_of(work) for _, work in works if is_living(platform, work)}
    candidates = [_leftover(name, work, pools, computes) for name, work in works if token_of(work) not in living]
    leftovers = [one for one in candidates if one.pools or one.computes or not one.work.finished]
    proven = {tag for _, work in works for tag in pool_tags(work)}
    return Leftovers(
        old=tuple(one for one in leftovers if now - one.youngest >= YOUNG),
        young=tuple(one for one in leftovers if now - one.youngest < YOUNG),
        unproven=tuple(sorted(alive - proven)),
        read_at=now,
    )


def _possible_owners(entries: Iterable[WorkRequirementEntry], alive: Iterable[str]) -> list[WorkRequirementEntry]:
    pools = tuple(alive)
    return [
        entry
        for entry in entries
        if not entry.finished or any(names.may_share_cluster(entry.name, pool) for pool in pools)
    ]


def _clusters(platform: Platform, entries: Sequence[WorkRequirementEntry]) -> list[tuple[str, WorkRequirementView]]:
    works = run_concurrently(platform.work_requirement, [entry.id for entry in entries])
    return [(name, work) for work in works if (name := cluster_of(work)) is not None]


def is_living(platform: Platform, work: WorkRequirementView) -> bool:
    """Whether a cluster has a head that has not ended: no call if the platform counts one, otherwise one.

    Without counts, a cluster whose head no list shows is taken for a living one.
    """
    if work.finished or work.cancelling:
        return False
    head = work.groups[0]
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
    created = [pool.created for pool in its_pools] + [compute.created for compute in its_computes]
    return Leftover(cluster, work, its_pools, its_computes, max([work.created, *created]))


def remove(platform: Platform, leftovers: Sequence[Leftover], progress: Progress) -> list[Leftover]:
    """Remove leftovers as `ray down` would, and wait until YellowDog shows nothing alive of them.

    Returns:
        Those that have a living head by now, and stay.

    Raises:
        TeardownIncomplete: something is still alive; what follows it was requested to end.
        PlatformError: a work requirement could not be read.
    """
    works = run_concurrently(platform.work_requirement, [one.work.id for one in leftovers])
    revived = [one for one, work in zip(leftovers, works, strict=True) if is_living(platform, work)]
    ending = [work for one, work in zip(leftovers, works, strict=True) if one not in revived]
    for work in ending:
        request_end(platform, work)
    for work in ending:
        tear_down(platform, work, progress, platform.clock, "raydog gc")
    return revived
