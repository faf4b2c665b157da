"""Tear down a cluster: find its pools, end them and its work requirement, and verify that nothing is left.

Pools end before the work requirement: a later `ray down` finds the rest by it, if this one is killed. Each step is
tried although another has failed, and none depends on a reading that only informs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.ending import (
    attempt,
    cancel,
    cluster_token,
    failures_of,
    find_pools,
    pool_tags,
    request_end_of,
    shut_down,
)
from yellowdog_ray.cluster.published import end_publications
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.errors import NotFound, PlatformError, TeardownIncomplete
from yellowdog_ray.names import head_id
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import ComputeView, PoolView, TaskGroupView, WorkRequirementView
from yellowdog_ray.remote.ssh import host_key_file

GRACE_SECONDS = 45.0
"""Seconds in which tasks may end by themselves: above the 30 s for which Ray drains a busy node on SIGTERM
(RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S). After that their instances are terminated."""

TEARDOWN_TIMEOUT_SECONDS = 600.0
"""Seconds in which the platform must show that nothing is alive."""

UNREADABLE_TIMEOUT_SECONDS = 60.0
"""Seconds without a readable answer about what remains, after everything else has ended. Above `GRACE_SECONDS`, so that
the instances' end has been requested too."""

COUNTED_TIMEOUT_SECONDS = 45.0
"""Wait for entities that are counted but not listed (seconds): instances that their compute requirement counts, and
pools of task groups that have tasks. A search may lag, but a wrong count, or a pool that the platform has removed,
must not stop every `ray down`. Below `UNREADABLE_TIMEOUT_SECONDS`."""

_POLL_SECONDS = 0.5
_LONGEST_POLL_SECONDS = 5.0
_POLL_SHARE = 0.1  # of the time waited: after a minute, a poll every five seconds or so


@dataclass(frozen=True)
class _PoolState:
    """A pool and its instances as last read; `failure` says why they could not be read this time.

    `pool` is None if only its compute requirement was found, or neither could be read.
    """

    name: str
    pool: PoolView | None
    requirement_id: str | None
    compute: ComputeView | None
    failure: PlatformError | None

    @property
    def is_empty(self) -> bool:
        if self.failure is not None or not (self.pool is None or self.pool.finished):
            return False
        return self.compute is None or (self.compute.finished and not self.compute.live_instances)

    @property
    def is_shown(self) -> bool:
        """Whether the platform has shown this time that something of it is alive."""
        return self.failure is None and not self.is_empty


@dataclass(frozen=True)
class _Remains:
    """The objects of a cluster that the platform still shows, or that it could not be read about.

    Attributes:
        unseen: the names of pools that must have been provisioned, and that the platform has never shown.
    """

    work: WorkRequirementView
    work_failure: PlatformError | None
    pools: tuple[_PoolState, ...]
    unseen: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return self.work_failure is None and self.work.finished and all(pool.is_empty for pool in self.pools)

    @property
    def is_doubtful(self) -> bool:
        """Whether there may be more: a pool never seen, or instances that are counted and not shown."""
        counts_more = any(pool.compute is not None and pool.compute.counted_instances > 0 for pool in self.pools)
        return counts_more or bool(self.unseen)

    @property
    def is_shown(self) -> bool:
        """Whether the platform has shown this time that something is alive."""
        return (self.work_failure is None and not self.work.finished) or any(pool.is_shown for pool in self.pools)

    @property
    def failures(self) -> list[PlatformError]:
        """Why something could not be read this time."""
        failures = [self.work_failure, *(pool.failure for pool in self.pools)]
        return [failure for failure in failures if failure is not None]

    def __str__(self) -> str:
        alive = [state for state in self.pools if not state.is_empty]
        computes = [state.compute for state in self.pools if state.compute and not state.failure]
        instances = sum(max(compute.live_instances, compute.counted_instances) for compute in computes)
        pools = [
            state.name
            for state in alive
            if state.failure
            or not (state.pool is None or state.pool.finished)
            or (state.compute and not state.compute.finished)
        ]
        parts = [f"{instances} instance{'s' * (instances != 1)}"]
        if pools:
            parts.append(f"worker pool{'s' * (len(pools) != 1)} {', '.join(pools)}")
        if self.unseen:
            parts.append(f"{', '.join(self.unseen)} (not shown)")
        if self.work_failure or not self.work.finished:
            parts.append(f"work requirement {self.work.name} ({self.work.status})")
        return ", ".join(parts) + "".join(f"; not readable: {failure}" for failure in self.failures[:1])


def tear_down(
    platform: Platform, work: WorkRequirementView, progress: Progress, clock: Clock, command: str = "ray down"
) -> Sequence[str]:
    """Remove everything of one work requirement, and wait until the platform shows nothing alive.

    Args:
        platform: the platform.
        work: the work requirement.
        progress: shows what the command waits for.
        clock: time.
        command: the command that the user is to repeat if it fails.

    Returns:
        The names of pools that had tasks, and that the platform showed neither by name nor in a list. It may have
        removed them after their end.

    Raises:
        TeardownIncomplete: something is still alive after `TEARDOWN_TIMEOUT_SECONDS`, or could not be read for
            `UNREADABLE_TIMEOUT_SECONDS`; the text names it.
    """
    return _Teardown(platform, work, progress, clock, command).run()


def outcome(cluster: str, namespace: str, *, found: bool, unseen: Sequence[str]) -> str:
    """The last line of a teardown. It claims nothing about pools that the platform has never shown."""
    if not found:
        return f"YellowDog shows no cluster '{cluster}' in namespace '{namespace}' to this key"
    if not unseen:
        return f"nothing is left of cluster '{cluster}' on YellowDog (namespace {namespace})"
    return (
        f"YellowDog shows nothing alive of cluster '{cluster}'. It shows worker pool {', '.join(unseen)} neither by "
        f"name nor in a list, although it had tasks. If it has not ended, end it in the portal (namespace {namespace})"
    )


class _Teardown:
    """One teardown: what it has found so far, and what it has requested."""

    def __init__(
        self, platform: Platform, work: WorkRequirementView, progress: Progress, clock: Clock, command: str
    ) -> None:
        self._platform = platform
        self._command = command
        self._work = work
        self._progress = progress
        self._clock = clock
        self._pools: dict[str, PoolView] = {}
        self._requirements: dict[str, str] = {}  # ids of compute requirements whose pool was never seen, by its name
        self._terminated: set[str] = set()
        self._refused: Sequence[PlatformError] = ()  # why the last requests failed

    def run(self) -> Sequence[str]:
        """Request the end of everything, and wait for it."""
        self._refused = request_end_of(self._platform, self._work, self._find())
        started = readable_at = shown_at = self._clock.monotonic()
        while True:
            remains = self._read()
            now = self._clock.monotonic()
            shown_at = shown_at if remains.is_empty else now
            if remains.is_empty and not (remains.is_doubtful and now - shown_at < COUNTED_TIMEOUT_SECONDS):
                _delete_host_keys(head_id(cluster_token(self._work)))
                # Last: no head is left that could add one. A failure leaves an entry in a list, and no cost.
                end_publications(self._platform, self._work)
                return remains.unseen
            readable_at = now if remains.is_shown else readable_at
            self._check_time(remains, now - started, now - readable_at)
            self._repeat_requests(remains, now - started)
            self._progress.update(f"waiting for the end of {remains}")
            self._clock.sleep(min(_LONGEST_POLL_SECONDS, max(_POLL_SECONDS, (now - started) * _POLL_SHARE)))

    def _check_time(self, remains: _Remains, waited: float, unreadable: float) -> None:
        portal = f"YellowDog's portal (namespace {self._platform.namespace})"
        refused = "".join(f"; the request failed: {failure}" for failure in self._refused[:1])
        remedy = f"run `{self._command}` again, or end them in {portal}{refused}"
        if waited > TEARDOWN_TIMEOUT_SECONDS:
            raise TeardownIncomplete(
                f"the platform still shows {remains} after {TEARDOWN_TIMEOUT_SECONDS:g} s: {remedy}"
            )
        if unreadable > UNREADABLE_TIMEOUT_SECONDS:
            raise TeardownIncomplete(
                f"the end of everything was requested, and YellowDog does not show that this has ended: {remains}: "
                f"{remedy}"
            )

    def _repeat_requests(self, remains: _Remains, waited: float) -> None:
        """The monitor may have provisioned a pool meanwhile, and a request may have had no effect."""
        refused = list(shut_down(self._platform, self._pools.values()).values())
        if not remains.work.cancelling:
            refused += cancel(self._platform, remains.work)
        self._refused = refused
        if remains.work.finished or waited > GRACE_SECONDS:
            self._terminate_instances(remains)

    def _terminate_instances(self, remains: _Remains) -> None:
        """Terminate the instances of each pool; also of one whose instances cannot be read."""
        for state in remains.pools:
            requirement_id = state.requirement_id
            if requirement_id is None or requirement_id in self._terminated:
                continue
            if state.failure is None and (state.compute is None or state.compute.finished):
                continue
            if not failures_of([attempt(self._platform.terminate_compute, requirement_id)]):
                self._terminated.add(requirement_id)

    def _read(self) -> _Remains:
        """Read the present state, and note new pools.

        A pool that was seen once stays noted: "not found" later does not mean that its machines have ended.
        """
        work = attempt(self._platform.work_requirement, self._work.id)
        if isinstance(work, WorkRequirementView):
            self._work = work
        found = self._find()
        self._note_removed(found)
        never_seen = [tag for tag in pool_tags(self._work) if tag not in found and tag not in self._pools]
        search_failure = self._find_requirements(never_seen)
        states = run_concurrently(self._read_instances, self._suppliers())
        unread = [self._unread(tag, failure) for tag, failure in found.items() if isinstance(failure, PlatformError)]
        if search_failure is not None:
            unread += [self._unread(tag, search_failure) for tag in never_seen]
        names = {state.name for state in unread}
        read = [state for state in states if state.name not in names]
        had_tasks = {group.worker_tag for group in self._work.groups if _has_had_tasks(group)}
        unseen = [tag for tag in never_seen if tag in had_tasks and tag not in self._requirements]
        work_failure = work if isinstance(work, PlatformError) else None
        return _Remains(self._work, work_failure, (*read, *unread), tuple(unseen))

    def _suppliers(self) -> list[tuple[str, PoolView | None, str | None]]:
        """Each pool with its name and its compute requirement's id."""
        pools = [(name, pool, pool.compute_requirement_id) for name, pool in self._pools.items()]
        orphans = [(name, None, id_) for name, id_ in self._requirements.items() if name not in self._pools]
        return [*pools, *orphans]

    def _find_requirements(self, never_seen: Collection[str]) -> PlatformError | None:
        """Note the compute requirements of pools that are not shown, which have their names. Returns a failure."""
        if not never_seen:
            return None
        listed = attempt(self._platform.listed_computes, cluster_token(self._work))
        if isinstance(listed, PlatformError):
            return listed
        self._requirements |= {entry.name: entry.id for entry in listed if entry.name in never_seen}
        return None

    def _find(self) -> dict[str, PoolView | PlatformError]:
        found = find_pools(self._platform, self._work)
        self._pools |= {tag: pool for tag, pool in found.items() if isinstance(pool, PoolView)}
        return found

    def _note_removed(self, found: Collection[str]) -> None:
        """Note the pools that the platform has removed since: it may remove a pool as soon as it has ended.

        Whether its machines have ended is read from its compute requirement in any case.
        """
        gone = [pool for name, pool in self._pools.items() if name not in found and not pool.finished]
        answers = run_concurrently(partial(attempt, self._platform.pool), [pool.id for pool in gone])
        for pool, answer in zip(gone, answers, strict=True):
            if isinstance(answer, NotFound):
                self._pools[pool.name] = replace(pool, finished=True)
            elif isinstance(answer, PoolView):
                self._pools[pool.name] = answer

    def _unread(self, name: str, failure: PlatformError) -> _PoolState:
        pool = self._pools.get(name)
        return _PoolState(name, pool, pool.compute_requirement_id if pool else None, None, failure)

    def _read_instances(self, supplier: tuple[str, PoolView | None, str | None]) -> _PoolState:
        name, pool, requirement_id = supplier
        if requirement_id is None:
            return _PoolState(name, pool, None, None, None)
        compute = attempt(self._platform.compute, requirement_id)
        if isinstance(compute, PlatformError):
            return _PoolState(name, pool, requirement_id, None, compute)
        return _PoolState(name, pool, requirement_id, compute, None)


def _has_had_tasks(group: TaskGroupView) -> bool:
    """Whether a group has ever had tasks; its pool is provisioned before the first. True without counts."""
    return group.counts is None or group.counts.live + group.counts.ended > 0


def _delete_host_keys(first_head: str) -> None:
    """Delete the host keys of a cluster's head, and of the heads that have replaced it."""
    file = host_key_file(first_head)
    for key in file.parent.glob(f"{file.name}*"):
        key.unlink(missing_ok=True)
