"""Ends an idle cluster, its head included: `provider.idle_termination_minutes`. Runs on the head only.

The workers' pools are shut down first. Until the head's pool is shut down, a use of the cluster withdraws the end: the
launcher replaces workers' pools. Nothing replaces the head's pool. So from then on the end is final: the machines get
an end, and the work requirement is cancelled, with which the head ends. If the head's pool cannot be shut down, that
cancellation makes the end final. A file on the head notes that an end has begun, so that an autoscaler that starts
again completes one that is final.

The end needs the work requirement and its pools, and no listing of the nodes. So it also runs while none succeeds.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.ending import cancel, end_machines_after, failures_of, find_pools, shut_down
from yellowdog_ray.cluster.launch import Launcher
from yellowdog_ray.cluster.published import end_publications
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.errors import NotFound, PlatformError
from yellowdog_ray.monitor.idleness import Idleness
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.node.scripts import STORE_FOLDER
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import PoolView, WorkRequirementView
from yellowdog_ray.private_file import make_private_folder, write_private

logger = logging.getLogger(__name__)

MACHINES_END_AFTER = timedelta(seconds=45)
"""From the requests until YellowDog terminates machines whose task has not ended. It is above the 30 s for which Ray
drains a node on SIGTERM, as `commands.teardown.GRACE_SECONDS`. The head, which could repeat a request, has ended by
then."""

FAILED_ROUNDS = 12
"""Ticks in a row in which a step may fail before the next one follows all the same: a minute of Ray's own ticks. A pool
that can be neither read nor ended must not keep the others alive. Each step has as many of its own."""

BEGUN_FILE = f"~/{STORE_FOLDER}/idle-end"
"""Notes an end that has begun; the head's script deletes the folder when the head ends."""

ENDS = "the cluster is idle, and ends"
"""Why nothing is launched any more."""


class Step(Enum):
    """The steps of an end whose failures delay what follows."""

    READ = auto()
    """The pools are read."""
    WORKERS = auto()
    """The workers' pools are shut down."""
    HEAD = auto()
    """The head's pool is shut down."""
    REST = auto()
    """The machines get an end, and what has failed before is repeated. The cancellation follows."""
    USE = auto()
    """The head's pool is read before a use withdraws the end."""


class Begun:
    """The file that notes an end that has begun, for the next process on the same head.

    Args:
        file: the file.
        head_id: the head; another head's file does not count.
    """

    def __init__(self, file: Path, head_id: str) -> None:
        self._file = file
        self._head_id = head_id

    def read(self) -> list[str] | None:
        """The names of the pools whose end was to be requested; None if no end has begun."""
        pools = self._noted().get("pools")
        return [name for name in pools if isinstance(name, str)] if isinstance(pools, list) else None

    @property
    def is_final(self) -> bool:
        """Whether the end that has begun was noted as final."""
        return self.read() is not None and self._noted().get("final") is True

    def _noted(self) -> Mapping[str, object]:
        try:
            noted = json.loads(self._file.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return noted if isinstance(noted, dict) and noted.get("head") == self._head_id else {}

    def write(self, pools: Sequence[str], *, final: bool = False) -> None:
        """Note an end. Without space for the file, only this process can complete it."""
        try:
            make_private_folder(self._file.parent)
            noted = {"head": self._head_id, "pools": list(pools), "final": final}
            write_private(self._file, json.dumps(noted).encode())
        except OSError as error:
            logger.warning(
                "%s cannot be written: a restart of the autoscaler now delays the end: %s", self._file, error
            )

    def remove(self) -> None:
        """Note that no end has begun."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s cannot be removed: %s", self._file, error)


class IdleEnd:
    """Ends a cluster that has been idle for long enough.

    Args:
        platform: the platform.
        cluster: the cluster.
        launcher: launches its workers; an end stops it.
        idleness: reads for how long the cluster has been idle.
        begun: notes an end for the next process.
    """

    def __init__(
        self, platform: Platform, cluster: Cluster, launcher: Launcher, idleness: Idleness, begun: Begun
    ) -> None:
        self._platform = platform
        self._cluster = cluster
        self._launcher = launcher
        self._idleness = idleness
        self._begun = begun
        self._requested = begun.read()
        self._is_final = begun.is_final
        self._head_is_kept = False
        self._timed: set[str] = set()
        self._failed_rounds = Counter[Step]()

    @property
    def is_due(self) -> bool:
        """Whether an end has begun, or the cluster's time was over when its use was last read. No call."""
        return self._requested is not None or self._idleness.seconds_left == 0.0

    def tick(self, _snapshot: Snapshot) -> None:
        """End the cluster if it is time; complete an end that has begun.

        Raises:
            PlatformError: the cluster could not be read; the next tick continues.
        """
        if self._requested is None and not self._idleness.is_over():
            self._failed_rounds.clear()
            return
        work = self._cluster.find()
        if work is None or (self._requested is None and work.cancelling):
            return  # somebody else ends it
        self._idleness.tick()  # the calls may each take long, and without a reading the time begins anew
        found = _find_pools(self._platform, work)
        head = _heads_pool(work, found)
        if self._requested is not None and (
            self._is_final or work.cancelling or self._has_effect(self._requested, head)
        ):
            self._complete(work, found)
        elif self._idleness.is_over():
            self._begin(work, found)
        elif self._requested is not None:
            self._yield_to_use(head)

    def _begin(self, work: WorkRequirementView, found: Mapping[str, PoolView | PlatformError]) -> None:
        """Shut down the workers' pools, then the head's. Until that succeeds, the next tick may withdraw the end."""
        unread = failures_of(found.values())
        if self._must_wait(Step.READ, unread):
            raise unread[0]
        if not self._launcher.close(ENDS):
            return  # a launch is under way
        if self._requested is None:
            logger.warning("the cluster has been idle for provider.idle_termination_minutes: it ends, head included")
        head = _heads_pool(work, found)
        pools = [pool for pool in found.values() if isinstance(pool, PoolView) and not pool.finished]
        self._head_is_kept |= self._requested is None or isinstance(head, PoolView)
        self._requested = sorted({*(self._requested or ()), *(pool.name for pool in pools)})
        self._begun.write(self._requested)
        workers = [pool for pool in pools if pool is not head]
        failures = list(shut_down(self._platform, workers).values())
        if self._must_wait(Step.WORKERS, failures):
            _report(failures)
            return
        if workers and not self._idleness.is_over():
            self._withdraw()
            return
        kept = self._shut_down_head(head)
        if self._must_wait(Step.HEAD, kept):
            _report([*failures, *kept])
            return
        if kept and not self._idleness.is_over():
            _report([*failures, *kept])
            return  # the next tick withdraws the end, unless the head's pool has ended all the same
        if kept and (refused := cancel(self._platform, work)):
            _report([*kept, *refused])  # without any effect nothing is final: a use withdraws the end
            return
        self._complete(work, found, [*unread, *failures, *kept])

    def _shut_down_head(self, head: PoolView | PlatformError | None) -> list[PlatformError]:
        """Shut down the head's pool. Returns why it may not have ended."""
        if isinstance(head, PlatformError):
            return [head]
        self._head_is_kept = False
        return list(shut_down(self._platform, [head] if head is not None else []).values())

    def _must_wait(self, step: Step, failures: Sequence[PlatformError]) -> bool:
        """Whether what follows a step waits for it, given its failures in this tick. Counts the failed ticks."""
        self._failed_rounds[step] = self._failed_rounds[step] + 1 if failures else 0
        return 0 < self._failed_rounds[step] < FAILED_ROUNDS

    @staticmethod
    def _has_effect(requested: Collection[str], head: PoolView | PlatformError | None) -> bool:
        """Whether the head's pool is known to have ended: nothing replaces it, so the rest must end."""
        return isinstance(head, PoolView) and head.name in requested and head.finished

    def _yield_to_use(self, head: PoolView | PlatformError | None) -> None:
        """Withdraw an end that is not final. Wait for a head's pool that may have ended, but not for good.

        Even if it has ended, the head continues, and the next end completes this one.
        """
        unread = [head] if isinstance(head, PlatformError) and not self._head_is_kept else []
        if self._must_wait(Step.USE, unread):
            raise unread[0]
        self._withdraw()

    def _withdraw(self) -> None:
        """Drop an end that is not final: the cluster is in use, or its time has begun anew."""
        logger.warning("the end of the idle cluster is withdrawn: it is in use again, or its time has begun anew")
        self._requested = None
        self._failed_rounds.clear()
        self._begun.remove()
        self._launcher.open()

    def _complete(
        self,
        work: WorkRequirementView,
        found: Mapping[str, PoolView | PlatformError],
        failures: Sequence[PlatformError] | None = None,
    ) -> None:
        """The rest of a final end, the head last: without it nobody repeats a request. The next tick repeats all.

        Args:
            work: the work requirement.
            found: the pools.
            failures: those of this tick's requests to end the pools; None if it has made none.
        """
        self._idleness.end()
        self._launcher.close(ENDS)
        if not self._is_final:
            self._is_final = True
            self._begun.write(self._requested or (), final=True)
        pools = [pool for pool in found.values() if isinstance(pool, PoolView)]
        head = _heads_pool(work, found)
        if failures is None:
            failures = [*failures_of(found.values()), *shut_down(self._platform, pools).values()]
        unended = self._end_machines(pool for pool in pools if pool is not head)
        if not work.cancelling and self._must_wait(Step.REST, [*failures, *unended]):
            _report([*failures, *unended])
            return
        unended += self._end_machines(pool for pool in pools if pool is head)
        end_publications(self._platform, work)
        _report([*failures, *unended, *cancel(self._platform, work)])

    def _end_machines(self, pools: Iterable[PoolView]) -> list[PlatformError]:
        """Let YellowDog terminate the machines of pools, once for each pool. Returns the failures."""
        untimed = [pool for pool in pools if pool.id not in self._timed]
        failures = end_machines_after(self._platform, untimed, MACHINES_END_AFTER)
        self._timed |= {pool.id for pool in untimed} - failures.keys()
        return list(failures.values())


def _report(failures: Iterable[PlatformError]) -> None:
    for failure in failures:
        logger.warning("the end of the idle cluster will be requested again: %s", failure)


def _find_pools(platform: Platform, work: WorkRequirementView) -> dict[str, PoolView | PlatformError]:
    """The pools of a cluster, or why one cannot be read, by name.

    One that has live tasks and that the platform does not show cannot be read: a list may lag.
    """
    found = find_pools(platform, work)
    groups = [group for group in work.groups if not group.configured and group.worker_tag not in found]
    return found | {
        group.worker_tag: NotFound(f"worker pool {group.worker_tag} has tasks, and YellowDog does not show it")
        for group in groups
        if group.counts is not None and group.counts.live
    }


def _heads_pool(
    work: WorkRequirementView, found: Mapping[str, PoolView | PlatformError]
) -> PoolView | PlatformError | None:
    """The head's pool, or why it cannot be read; None if a configured pool, which nobody here ends, has the head."""
    head = work.group(HEAD_GROUP)
    return found.get(head.worker_tag) if head is not None else None
