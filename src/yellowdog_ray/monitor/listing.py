"""Lists the nodes for the head's side: reads them, and decides what stands in for a reading that fails."""

from __future__ import annotations

from collections.abc import Collection

from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.monitor.idle_end import IdleEnd
from yellowdog_ray.monitor.outage import Outage


class Listing:
    """Reads the nodes of one cluster.

    While readings fail, the last complete one stands. An idle cluster ends all the same: it may be one pool that
    YellowDog can never read.

    Args:
        cluster: the cluster.
        backoff: the node types in back-off.
        idle_end: ends the idle cluster; None if only a listing shows whether this head may end it.
    """

    def __init__(self, cluster: Cluster, backoff: BackOff, idle_end: IdleEnd | None) -> None:
        self._cluster = cluster
        self._backoff = backoff
        self._idle_end = idle_end
        self._outage = Outage()
        self._last_failure: Exception | None = None

    def read(self) -> bool:
        """Read the nodes. Returns False if the last complete listing stands.

        After a failed reading, an end that is due takes the place of the next one. Each may block the loop for as long
        as a failing call takes.

        Raises:
            Exception: reading has failed, and there is no earlier listing.
        """
        failure, self._last_failure = self._last_failure, None
        if failure is not None and self._idle_end is not None and self._idle_end.is_due:
            try:
                self._idle_end.tick(self._cluster.snapshot)
            except Exception as error:  # noqa: BLE001 - as below
                failure = error
            return self._stand_in(failure)
        try:
            self._cluster.refresh()
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not stop the loop either
            self._last_failure = error
            return self._stand_in(error)
        if self._outage.succeeded():
            self._backoff.outage_ended()
        return True

    def with_unlisted(self, launched: Snapshot, snapshot: Snapshot, listed: Collection[str]) -> Snapshot:
        """List a node once that has ended before its first listing; autoscaler v2 waits 600 s for an unlisted one.

        Args:
            launched: the snapshot before the reading, with the nodes that were launched.
            snapshot: the one after it.
            listed: the ids of the last listing.
        """
        if snapshot is launched:
            return snapshot
        known = snapshot.nodes.keys() | self._cluster.terminating | set(listed)
        ended = {node_id: node for node_id, node in launched.nodes.items() if node_id not in known}
        return Snapshot({**snapshot.nodes, **ended}) if ended else snapshot

    def _stand_in(self, failure: Exception) -> bool:
        self._outage.failed(failure)
        if not self._cluster.snapshot.nodes:
            raise failure
        return False
