"""The end of a cluster: its pools, and the requests that end them and its work requirement. Never waits.

Pools end before the work requirement: what has crashed in between finds the rest by it. `ray down` and an idle
cluster's head end a cluster by these requests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import TypeVar

from yellowdog_ray.errors import PlatformError
from yellowdog_ray.names import token_of
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import PoolView, WorkRequirementView

A = TypeVar("A")
T = TypeVar("T")


def request_end(platform: Platform, work: WorkRequirementView) -> list[PlatformError]:
    """Shut down every pool, then cancel the work requirement. No wait; repeating it is harmless.

    Returns:
        The failures. Each step is tried, whatever failed before it.
    """
    return request_end_of(platform, work, find_pools(platform, work))


def request_end_of(
    platform: Platform, work: WorkRequirementView, found: Mapping[str, PoolView | PlatformError]
) -> list[PlatformError]:
    """The same, with the pools as found: a failure to read one counts as a failure."""
    pools = [pool for pool in found.values() if isinstance(pool, PoolView)]
    return failures_of(found.values()) + list(shut_down(platform, pools).values()) + cancel(platform, work)


def shut_down(platform: Platform, pools: Iterable[PoolView]) -> dict[str, PlatformError]:
    """Shut down pools, except for those that have ended. Returns the failures by the pool's id."""
    return _failures_by_pool(platform.shut_down_pool, {pool.id: pool.id for pool in pools if not pool.finished})


def cancel(platform: Platform, work: WorkRequirementView) -> list[PlatformError]:
    """Cancel a work requirement that has not ended, and abort its tasks. Returns the failures."""
    return [] if work.finished else failures_of([attempt(platform.cancel_work_requirement, work.id)])


def find_pools(platform: Platform, work: WorkRequirementView) -> dict[str, PoolView | PlatformError]:
    """The provisioned pools of a cluster's task groups, or why one cannot be read, by name."""
    return {tag: pool for tag, pool in _named_pools(platform, work).items() if not _is_configured(pool)}


def _named_pools(platform: Platform, work: WorkRequirementView) -> dict[str, PoolView | PlatformError]:
    """The pools with the names of a cluster's task groups, or why one cannot be read: one call per task group.

    A pool that the platform does not show by its name is searched for: one call, and one for each that is listed.
    """
    tags = pool_tags(work)
    found = dict(zip(tags, run_concurrently(partial(attempt, platform.find_pool), tags), strict=True))
    seen = {tag: pool for tag, pool in found.items() if pool is not None}
    return seen | _search_pools(platform, cluster_token(work), [tag for tag in tags if tag not in seen])


def _is_configured(pool: PoolView | PlatformError) -> bool:
    """Whether it is a configured pool, which is somebody else's whatever its name: RayDog creates none."""
    return isinstance(pool, PoolView) and pool.configured


def _search_pools(platform: Platform, token: str, tags: Collection[str]) -> dict[str, PoolView | PlatformError]:
    """Those of the pools that a search lists, or why they cannot be read, by name."""
    if not tags:
        return {}
    listed = attempt(platform.listed_pools, token)
    if isinstance(listed, PlatformError):
        return dict.fromkeys(tags, listed)
    entries = [entry for entry in listed if entry.name in tags]
    pools = run_concurrently(partial(attempt, platform.pool), [entry.id for entry in entries])
    return {entry.name: pool for entry, pool in zip(entries, pools, strict=True)}


def pool_tags(work: WorkRequirementView) -> list[str]:
    """The names of the pools that a cluster's task groups have, or are about to have."""
    groups = [group for group in work.groups if not group.configured]
    return [group.worker_tag for group in groups if token_of(group.worker_tag) == cluster_token(work)]


def cluster_token(work: WorkRequirementView) -> str:
    """The token in the names of everything of this incarnation."""
    return token_of(work.groups[0].worker_tag)


def attempt(call: Callable[[A], T], argument: A) -> T | PlatformError:
    """The result of a platform call, or its failure."""
    try:
        return call(argument)
    except PlatformError as failure:
        return failure


def failures_of(results: Iterable[object]) -> list[PlatformError]:
    """The failures among the results of `attempt`."""
    return [result for result in results if isinstance(result, PlatformError)]


def end_machines_after(platform: Platform, pools: Iterable[PoolView], time: timedelta) -> dict[str, PlatformError]:
    """Let the platform itself terminate the machines of pools, this long from now. Returns the failures by pool id."""
    computes = {pool.id: pool.compute_requirement_id for pool in pools if pool.compute_requirement_id is not None}
    return _failures_by_pool(lambda id_: platform.end_compute_after(id_, time), computes)


def _failures_by_pool(call: Callable[[str], object], arguments: Mapping[str, str]) -> dict[str, PlatformError]:
    """Call for all pools concurrently, each with its argument. Returns the failures by the pool's id."""
    results = run_concurrently(partial(attempt, call), list(arguments.values()))
    return {id_: result for id_, result in zip(arguments, results, strict=True) if isinstance(result, PlatformError)}
