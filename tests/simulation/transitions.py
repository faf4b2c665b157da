"""Observes every change of status of the local platform's records, and compares it with the tables."""

from __future__ import annotations

from typing import Any

import pytest

from yellowdog_local.state import lives, records
from yellowdog_local.state.lifecycle import Lifecycle
from yellowdog_local.state.store import Store

RECORDS: dict[type[Any], Lifecycle[Any, Any]] = {
    records.WorkRecord: lives.WORK_REQUIREMENT,
    records.GroupRecord: lives.TASK_GROUP,
    records.TaskRecord: lives.TASK,
    records.PoolRecord: lives.WORKER_POOL,
    records.NodeRecord: lives.PLATFORM_NODE,
    records.WorkerRecord: lives.WORKER,
    records.RequirementRecord: lives.COMPUTE_REQUIREMENT,
    records.InstanceRecord: lives.INSTANCE,
}


def shown_otherwise(store: Store) -> list[str]:
    """The ids of the records whose entity, which callers see, has another status than the record."""
    tables: tuple[dict[str, Any], ...] = (
        *(store.works, store.groups, store.tasks, store.pools),
        *(store.nodes, store.workers, store.requirements, store.instances),
    )
    return [record.id for table in tables for record in table.values() if record.entity.status is not record.status]


class Transitions:
    """The changes since `start`, each as a lifecycle's name, the status before (None at creation) and after."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, Any, Any]] = set()
        self._patch = pytest.MonkeyPatch()

    def start(self) -> None:
        """Observe all records from now on; `stop` ends it."""
        for kind, lifecycle in RECORDS.items():
            self._patch.setattr(kind, "status", self._observed(lifecycle.name), raising=False)

    def stop(self) -> None:
        self._patch.undo()

    @property
    def undeclared(self) -> set[tuple[str, Any, Any]]:
        """The changes that no table declares."""
        declared = {
            (lifecycle.name, before, after)
            for lifecycle in lives.ALL
            for before, after in [
                *((None, first) for first in lifecycle.first),
                *((before, after) for (before, _event), after in lifecycle.steps.items()),
            ]
        }
        return self.seen - declared

    def _observed(self, name: str) -> property:
        def get(record: Any) -> Any:
            return vars(record)["status"]

        def change(record: Any, status: Any) -> None:
            self.seen.add((name, vars(record).get("status"), status))
            vars(record)["status"] = status

        return property(get, change)
