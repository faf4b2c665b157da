"""Removes autoscaler v2's records of failed launches and ended nodes, which Ray keeps for ever. No platform call.

Ray reads all of its records several times a tick (autoscaler/v2/instance_manager of Ray 2.60). A shortage of
hours would slow it down more and more. A lower `max_workers` meanwhile is no remedy: Ray would terminate nodes down to
it, and report the demand as impossible to fulfil.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.autoscaler.v2.instance_manager.instance_storage import InstanceStorage

    from yellowdog_ray.monitor.gcs import RayNodes

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 600.0
"""How often records are removed while no launch fails: a new one each second adds 600, which cost Ray 0.1 s a tick."""


_TICKS = 3
"""Ticks after a failed launch at which records are removed. Ray makes those of the failure at the first or second."""


class LaunchRecords:
    """The records of the autoscaler in this process.

    Removes failed launches, except the last one of each node type, for `ray status`. Removes ended nodes that Ray's
    control store does not list: Ray would take a listed one for a new node.

    Args:
        ray_nodes: the nodes in Ray's control store.
        monotonic: seconds that never go back.
    """

    def __init__(self, ray_nodes: RayNodes, monotonic: Callable[[], float]) -> None:
        self._ray_nodes = ray_nodes
        self._monotonic = monotonic
        self._storages: list[InstanceStorage] | None = None
        self._failed = False
        self._ticks = 0
        self._due = monotonic() + INTERVAL_SECONDS

    def launch_failed(self) -> None:
        """Note a failed launch: Ray makes a record for each of its nodes. Thread-safe."""
        self._failed = True

    def tick(self) -> None:
        """Remove records if there may be many; before Ray decides, and in its thread."""
        if self._failed:
            self._failed = False
            self._ticks = _TICKS
        all_kinds = self._monotonic() >= self._due
        if not all_kinds and not self._ticks:
            return
        self._ticks = max(0, self._ticks - 1)
        if all_kinds:
            self._due = self._monotonic() + INTERVAL_SECONDS
        try:
            self._remove(all_kinds=all_kinds)
        except Exception as error:  # Ray has changed what is private to it; that must not stop the loop
            self._storages = []
            logger.warning("Ray's records of failed launches are not removed: %s", error, exc_info=error)

    def _remove(self, *, all_kinds: bool) -> None:
        if self._storages is None:
            self._storages = _storages()
            if not self._storages:
                raise LookupError("this version of Ray keeps them elsewhere")
        for storage in self._storages:
            records = storage.get_instances()[0].values()
            obsolete = _superseded_failures(records)
            if all_kinds:
                obsolete += self._ended(records)
            if obsolete:
                storage.batch_delete_instances(obsolete)

    def _ended(self, records: Iterable[Any]) -> list[str]:
        """Ids of the records of ended nodes that Ray's control store does not list."""
        ended = [record for record in records if record.status == record.TERMINATED]
        joined = [record for record in ended if record.node_id]
        listed = self._ray_nodes.listed_ray_ids() if joined else frozenset()
        return [record.instance_id for record in ended if listed is not None and record.node_id not in listed]


def _storages() -> list[InstanceStorage]:
    """Where autoscaler v2 keeps its records. Ray gives a node provider no way to them."""
    from ray.autoscaler.v2.instance_manager.instance_storage import InstanceStorage

    return [found for found in gc.get_objects() if type(found) is InstanceStorage]


def _superseded_failures(records: Iterable[Any]) -> list[str]:
    """Ids of the records of failed launches, except the last of each node type."""
    failures = [record for record in records if record.status == record.ALLOCATION_FAILED]
    last = {record.instance_type: record.instance_id for record in sorted(failures, key=_changed_at)}
    return [record.instance_id for record in failures if record.instance_id != last[record.instance_type]]


def _changed_at(record: Any) -> int:
    return max((change.timestamp_ns for change in record.status_history), default=0)
