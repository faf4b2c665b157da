"""Ends an idle cluster, its head included: `provider.idle_termination_minutes`. Runs on the head only.

The requests are those of `ray down`, in its order: the pools, the head's first, then the work requirement. The head's
task runs until its work requirement is cancelled. A file on the head notes that an end has begun, so that an autoscaler
that starts again completes it. If the head's pool has not ended by then, the file does not count, since the cluster may
be in use again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.ending import cancel, end_machines_after, failures_of, find_pools, shut_down
from yellowdog_ray.cluster.launch import Launcher
from yellowdog_ray.cluster.published import end_publications
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.monitor.idleness import Idleness
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.node.scripts import STORE_FOLDER
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import PoolView, WorkRequirementView
from yellowdog_ray.private_file import make_private_folder, write_private

logger = logging.getLogger(__name__)

MACHINES_END_AFTER = timedelta(seconds=45)
"""From the requests until YellowDog terminates machines whose task has not ended: above the 30 s for which Ray drains a
node on SIGTERM, as `commands.teardown.GRACE_SECONDS`. The head, which could repeat a request, has ended by then."""

FAILED_ROUNDS = 12
"""Ticks in a row with a worker pool that can be neither read nor ended, after which the cluster ends without it: a
minute of Ray's own ticks. The platform ends its machines when they are idle."""

BEGUN_FILE = f"~/{STORE_FOLDER}/idle-end"
"""Notes an end that has begun; the head's script deletes the folder when the head ends."""


ENDS = "the cluster is idle, and ends"
"""Why nothing is launched any more."""


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
        try:
            noted = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(noted, dict) or noted.get("head") != self._head_id:
            return None
        pools = noted.get("pools")
        return [name for name in pools if isinstance(name, str)] if isinstance(pools, list) else None

    def write(self, pools: Sequence[str]) -> None:
        """Note an end. Without space for the file, only this process can complete it."""
        try:
            make_private_folder(self._file.parent)
            write_private(self._file, json.dumps({"head": self._head_id, "pools": list(pools)}).encode())
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
        self._timed: set[str] = set()
        self._failed_rounds = 0

    def tick(self, _snapshot: Snapshot) -> None:
        """End the cluster if it is time; complete an end that has begun.

        Raises:
            PlatformError: the cluster could not be read; the next tick continues.
        """
        if self._requested is None and not self._idleness.is_over():
            return
        work = self._cluster.find()
        if work is None or (self._requested is None and work.cancelling):
            return  # somebody else ends it
        found = find_pools(self._platform, work)
        if self._requested is not None and (work.cancelling or self._has_effect(self._requested, work, found)):
            self._request_end(work, found)
        elif self._idleness.is_over():
            self._begin(work, found)
        else:
            self._withdraw()

    def _begin(self, work: WorkRequirementView, found: Mapping[str, PoolView | PlatformError]) -> None:
        unread = failures_of(found.values())
        if unread and (self._is_early_failure() or isinstance(_heads_pool(work, found), PlatformError)):
            self._failed_rounds += 1
            raise unread[0]
        if not self._launcher.close(ENDS):
            return  # a launch is under way
        if self._requested is None:
            logger.warning("the cluster has been idle for provider.idle_termination_minutes: it ends, head included")
        self._requested = [name for name, pool in found.items() if isinstance(pool, PoolView) and not pool.finished]
        self._begun.write(self._requested)
        self._request_end(work, found)

    @staticmethod
    def _has_effect(
        requested: Collection[str], work: WorkRequirementView, found: Mapping[str, PoolView | PlatformError]
    ) -> bool:
        """Whether the head's pool has ended, whose end is requested first: nothing replaces it, so the rest must end.

        Other pools do not count: where workers are needed again, the launcher replaces them.
        """
        pool = _heads_pool(work, found)
        if isinstance(pool, PlatformError):
            raise pool
        return pool is not None and pool.name in requested and pool.finished

    def _withdraw(self) -> None:
        """Drop an end of which YellowDog shows nothing: the cluster is in use, or its time has begun anew."""
        logger.warning("the end of the idle cluster had no effect, and is withdrawn")
        self._requested = None
        self._begun.remove()
        self._launcher.open()

    def _request_end(self, work: WorkRequirementView, found: Mapping[str, PoolView | PlatformError]) -> None:
        """The requests of `ray down`, in its order; the next tick repeats those that failed.

        Machines end once the head's pool has ended: until then the cluster may be in use again. The head ends last,
        since nobody else repeats the other requests; it waits for them for `FAILED_ROUNDS`.
        """
        self._launcher.close(ENDS)
        pools = [pool for pool in found.values() if isinstance(pool, PoolView)]
        head = _heads_pool(work, found)
        refused = shut_down(self._platform, pools)
        is_head_refused = isinstance(head, PoolView) and head.id in refused
        ended = [] if is_head_refused else [pool for pool in pools if pool.id not in refused]
        unended = self._end_machines(pool for pool in ended if pool is not head)
        failures = [*failures_of(found.values()), *refused.values(), *unended.values()]
        if is_head_refused or (failures and self._is_early_failure() and not work.cancelling):
            self._failed_rounds += 1
        else:
            failures += self._end_machines(pool for pool in ended if pool is head).values()
            end_publications(self._platform, work)
            failures += cancel(self._platform, work)
        for failure in failures:
            logger.warning("the end of the idle cluster will be requested again: %s", failure)

    def _is_early_failure(self) -> bool:
        """Whether a failure delays the end of the cluster."""
        return self._failed_rounds + 1 < FAILED_ROUNDS

    def _end_machines(self, pools: Iterable[PoolView]) -> dict[str, PlatformError]:
        """Let YellowDog terminate the machines of pools, once for each pool. Returns the failures by the pool's id."""
        untimed = [pool for pool in pools if pool.id not in self._timed]
        failures = end_machines_after(self._platform, untimed, MACHINES_END_AFTER)
        self._timed |= {pool.id for pool in untimed} - failures.keys()
        return failures


def _heads_pool(
    work: WorkRequirementView, found: Mapping[str, PoolView | PlatformError]
) -> PoolView | PlatformError | None:
    """The head's pool, or why it cannot be read; None if a configured pool, which nobody here ends, has the head."""
    head = work.group(HEAD_GROUP)
    return found.get(head.worker_tag) if head is not None else None
