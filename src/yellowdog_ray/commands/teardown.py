"""The end of a cluster: everything that one work requirement stands for is removed, and that is verified.

Pools go before the work requirement: it is what a later `ray down` finds the rest by, should this one be killed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from yellowdog_ray.clock import Clock
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.names import head_id, token_of
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import ComputeView, PoolView, WorkRequirementView
from yellowdog_ray.remote.ssh import host_key_file

GRACE_SECONDS = 45.0
"""How long tasks may take to end by themselves: above the 30 s for which Ray drains a busy node on SIGTERM
(RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S). After that their instances are terminated under them."""

GIVE_UP_SECONDS = 600.0
"""How long the platform may take to show that nothing is alive."""

_POLL_SECONDS = 0.5
_LONGEST_POLL_SECONDS = 5.0
_POLLS_PER_WAITED = 0.1  # what has taken a minute is looked at every few seconds


class TeardownIncomplete(RayDogError):
    """The platform still shows something alive, long after it was asked to end it."""

    code = "TeardownIncomplete"


@dataclass(frozen=True)
class _Remains:
    """What the platform still shows."""

    work: WorkRequirementView
    pools: tuple[tuple[PoolView, ComputeView | None], ...]

    @property
    def nothing(self) -> bool:
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
    """Ask for the end of every pool, then of the work requirement. Repeating it is harmless."""
    _request_end(platform, work, _find_pools(platform, work).values())


def _request_end(platform: Platform, work: WorkRequirementView, pools: Iterable[PoolView]) -> None:
    _shut_down(platform, pools)
    if not work.finished:
        platform.cancel_work_requirement(work.id)


def _shut_down(platform: Platform, pools: Iterable[PoolView]) -> None:
    run_concurrently(platform.shut_down_pool, [pool.id for pool in pools if not pool.finished])


def dismantle(platform: Platform, work: WorkRequirementView, progress: Progress, clock: Clock) -> None:
    """End everything of one work requirement and wait until the platform shows nothing alive.

    Raises:
        TeardownIncomplete: something is still alive after `GIVE_UP_SECONDS`; the text says what.
        PlatformError: the platform could not be asked.
    """
    pools = _find_pools(platform, work)
    _request_end(platform, work, pools.values())
    started = clock.monotonic()
    terminated: set[str] = set()
    while True:
        remains = _look(platform, work.id, pools)
        if remains.nothing:
            host_key_file(head_id(token_of(work.groups[0].worker_tag))).unlink(missing_ok=True)
            return
        waited = clock.monotonic() - started
        if waited > GIVE_UP_SECONDS:
            raise TeardownIncomplete(
                f"the platform still shows {remains} after {GIVE_UP_SECONDS:g} s: run `ray down` again, "
                f"or end them in YellowDog's portal (namespace {platform.namespace})"
            )
        # A pool that the head's autoscaler was making while we began; a cancellation that has not taken.
        _shut_down(platform, pools.values())
        if not (remains.work.finished or remains.work.cancelling):
            platform.cancel_work_requirement(work.id)
        if remains.work.finished or waited > GRACE_SECONDS:
            _terminate_instances(platform, remains, terminated)
        progress.say(f"waiting for the end of {remains}")
        clock.sleep(min(_LONGEST_POLL_SECONDS, max(_POLL_SECONDS, waited * _POLLS_PER_WAITED)))


def _look(platform: Platform, requirement_id: str, pools: dict[str, PoolView]) -> _Remains:
    """See what there is; `pools` is brought up to date.

    A pool that was seen once stays in it: YellowDog shows ended pools too, so one that is "not found" later is a
    gateway's mistake, and no reason to believe its machines gone.
    """
    work = platform.work_requirement(requirement_id)
    pools |= _find_pools(platform, work)
    requirements = [pool.compute_requirement_id for pool in pools.values()]
    computes = run_concurrently(lambda id_: platform.compute(id_) if id_ else None, requirements)
    return _Remains(work, tuple(zip(pools.values(), computes, strict=True)))


def _find_pools(platform: Platform, work: WorkRequirementView) -> dict[str, PoolView]:
    """The pools that were made for a cluster's task groups, by name: one call per task group."""
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
