"""Tear down a cluster: remove everything that belongs to one work requirement, and verify that nothing is left.

Pools end before the work requirement: a later `ray down` finds the rest by it, if this one is killed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from yellowdog_ray.clock import Clock
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.errors import TeardownIncomplete
from yellowdog_ray.names import head_id, token_of
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import ComputeView, PoolView, WorkRequirementView
from yellowdog_ray.remote.ssh import host_key_file

GRACE_SECONDS = 45.0
"""Seconds in which tasks may end by themselves: above the 30 s for which Ray drains a busy node on SIGTERM
(RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S). After that their instances are terminated."""

TEARDOWN_TIMEOUT_SECONDS = 600.0
"""Seconds in which the platform must show that nothing is alive."""

_POLL_SECONDS = 0.5
_LONGEST_POLL_SECONDS = 5.0
_POLL_SHARE = 0.1  # of the time waited: after a minute, a poll every five seconds or so


@dataclass(frozen=True)
class _Remains:
    """The objects of a cluster that the platform still shows."""

    work: WorkRequirementView
    pools: tuple[tuple[PoolView, ComputeView | None], ...]

    @property
    def is_empty(self) -> bool:
        return self.work.finished and all(
            pool.finished and (compute is None or (compute.finished and not compute.live_instances))
            for pool, compute in self.pools
        )

    def __str__(self) -> str:
        instances = sum(compute.live_instances for _, compute in self.pools if compute)
        pools = [pool.name for pool, compute in self.pools if not pool.finished or (compute and not compute.finished)]
        parts = [f"{instances} instance{'s' * (instances != 1)}"]
        if pools:
            parts.append(f"worker pool{'s' * (len(pools) != 1)} {', '.join(pools)}")
        if not self.work.finished:
            parts.append(f"work requirement {self.work.name} ({self.work.status})")
        return ", ".join(parts)


def request_end(platform: Platform, work: WorkRequirementView) -> None:
    """Shut down every pool, then cancel the work requirement. No wait; repeating it is harmless."""
    _request_end(platform, work, _find_pools(platform, work).values())


def _request_end(platform: Platform, work: WorkRequirementView, pools: Iterable[PoolView]) -> None:
    _shut_down(platform, pools)
    if not work.finished:
        platform.cancel_work_requirement(work.id)


def _shut_down(platform: Platform, pools: Iterable[PoolView]) -> None:
    run_concurrently(platform.shut_down_pool, [pool.id for pool in pools if not pool.finished])


def tear_down(platform: Platform, work: WorkRequirementView, progress: Progress, clock: Clock) -> None:
    """Remove everything of one work requirement, and wait until the platform shows nothing alive.

    Raises:
        TeardownIncomplete: something is still alive after `TEARDOWN_TIMEOUT_SECONDS`; the text names it.
        PlatformError: a platform call failed.
    """
    pools = _find_pools(platform, work)
    _request_end(platform, work, pools.values())
    started = clock.monotonic()
    terminated: set[str] = set()
    while True:
        remains = _read(platform, work.id, pools)
        if remains.is_empty:
            host_key_file(head_id(token_of(work.groups[0].worker_tag))).unlink(missing_ok=True)
            return
        waited = clock.monotonic() - started
        if waited > TEARDOWN_TIMEOUT_SECONDS:
            raise TeardownIncomplete(
                f"the platform still shows {remains} after {TEARDOWN_TIMEOUT_SECONDS:g} s: run `ray down` again, "
                f"or end them in YellowDog's portal (namespace {platform.namespace})"
            )
        # The monitor may have created a pool meanwhile, and a cancellation may have had no effect.
        _shut_down(platform, pools.values())
        if not (remains.work.finished or remains.work.cancelling):
            platform.cancel_work_requirement(work.id)
        if remains.work.finished or waited > GRACE_SECONDS:
            _terminate_instances(platform, remains, terminated)
        progress.update(f"waiting for the end of {remains}")
        clock.sleep(min(_LONGEST_POLL_SECONDS, max(_POLL_SECONDS, waited * _POLL_SHARE)))


def _read(platform: Platform, requirement_id: str, pools: dict[str, PoolView]) -> _Remains:
    """Read the present state, and add new pools to `pools`.

    A pool that was seen once stays in it. YellowDog shows ended pools too, so "not found" later does not mean that its
    machines have ended.
    """
    work = platform.work_requirement(requirement_id)
    pools |= _find_pools(platform, work)
    requirements = [pool.compute_requirement_id for pool in pools.values()]
    computes = run_concurrently(lambda id_: platform.compute(id_) if id_ else None, requirements)
    return _Remains(work, tuple(zip(pools.values(), computes, strict=True)))


def _find_pools(platform: Platform, work: WorkRequirementView) -> dict[str, PoolView]:
    """The provisioned pools of a cluster's task groups, by name: one call per task group."""
    token = token_of(work.groups[0].worker_tag)
    groups = [group for group in work.groups if not group.configured]
    tags = [group.worker_tag for group in groups if token_of(group.worker_tag) == token]
    found = dict(zip(tags, run_concurrently(platform.find_pool, tags), strict=True))
    return {tag: pool for tag, pool in found.items() if pool is not None}


def _terminate_instances(platform: Platform, remains: _Remains, terminated: set[str]) -> None:
    for pool, compute in remains.pools:
        requirement_id = pool.compute_requirement_id
        if requirement_id and compute and not compute.finished and requirement_id not in terminated:
            platform.terminate_compute(requirement_id)
            terminated.add(requirement_id)
