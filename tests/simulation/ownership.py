"""Owners of entities on the platform: our cluster, or others, whose entities the provider must not change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from yellowdog_client.model import WorkRequirementStatus

from yellowdog_local.state.records import InstanceRecord, PoolRecord, TaskRecord, WorkRecord
from yellowdog_local.state.store import Store


class Ownership:
    """Divide a platform by a moment: what existed then belongs to others, what is made later is ours.

    Args:
        store: the platform's records.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._other_works: set[str] = set()
        self._other_pools: set[str] = set()
        self._before: dict[str, Any] = {}

    def begin(self) -> None:
        """Count everything that exists now as others'."""
        self._other_works = set(self._store.works)
        self._other_pools = set(self._store.pools)
        self.accept()

    def add_other_pool(self, pool_id: str) -> None:
        """Count a pool that exists by now as others'."""
        self._other_pools.add(pool_id)
        self._before = {**self._others(), **self._before}

    def accept(self) -> None:
        """Take the present state of others' things as the one that must stay: a test itself has changed it."""
        self._before = self._others()

    @property
    def works(self) -> list[WorkRecord]:
        """Our unfinished work requirements."""
        works = tuple(self._store.works.values())
        return [work for work in works if work.id not in self._other_works and not work.status.finished]

    @property
    def open_pools(self) -> list[PoolRecord]:
        """Our worker pools that could have instances."""
        pools = tuple(self._store.open_pools.values())
        return [pool for pool in pools if pool.id not in self._other_pools]

    @property
    def tasks(self) -> list[TaskRecord]:
        """Our tasks that have not ended."""
        groups = [group for work in self.works for group in work.groups]
        return [task for group in groups for task in group.tasks.values() if not task.status.finished]

    def instances(self) -> Iterator[InstanceRecord]:
        """Our live instances."""
        for pool in tuple(self._store.pools.values()):
            if pool.id not in self._other_pools:
                yield from pool.requirement.live.values()

    @property
    def left(self) -> list[str]:
        """Names and ids of our live instances, open pools and unfinished work requirements."""
        left = [instance.id for instance in self.instances()]
        left += [pool.name for pool in self.open_pools]
        return left + [str(work.entity.name) for work in self.works]

    @property
    def changed(self) -> dict[str, Any]:
        """Others' things that are not as they were: by name and id, the state before and now."""
        now = self._others()
        return {key: (self._before.get(key), now[key]) for key in now if now[key] != self._before.get(key)}

    def _others(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        for work_id in sorted(self._other_works):
            work = self._store.works[work_id]
            tasks = {
                name: (task.status, is_ending(task)) for group in work.groups for name, task in group.names.items()
            }
            state[f"{work.entity.name} {work_id}"] = (work.status, len(work.groups), tasks)
        for pool_id in sorted(self._other_pools):
            pool = self._store.pools[pool_id]
            # Every user of a configured pool changes its status; the pool itself must stay.
            status = pool.status.available if pool.configured else (pool.status, pool.target)
            state[f"{pool.name} {pool_id}"] = (status, sorted(pool.requirement.live))
        return state


def is_ending(task: TaskRecord) -> bool:
    """Whether the end of a task was requested."""
    return task.entity.abortRequestedTime is not None or task.group.work.status is WorkRequirementStatus.CANCELLING
