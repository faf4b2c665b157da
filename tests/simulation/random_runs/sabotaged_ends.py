"""Ends of clusters broken on purpose: of `ray down`, and of a cluster that ends itself when it is idle.

`sabotage` lists them with the other sabotages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from yellowdog_client.model import InstanceStatus

from yellowdog_ray import names
from yellowdog_ray.cluster import ending, generations
from yellowdog_ray.commands import teardown
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.monitor import idle_end, ray_use
from yellowdog_ray.platform import compute
from yellowdog_ray.platform.client import Platform


def names_by_prefix(patch: pytest.MonkeyPatch) -> None:
    """Work requirements are found by the beginning of their names."""
    patch.setattr(Platform, "named_work_requirement", lambda *_: None)
    patch.setattr(names, "generation_of", lambda cluster, name: int(name.startswith(cluster)))
    patch.setattr(generations, "_may_be_ours", lambda *_: True)
    patch.setattr(generations, "_reuses_names", lambda *_: True)


def neighbours_pools_too(patch: pytest.MonkeyPatch) -> None:
    """`ray down` shuts down every pool of the namespace whose name begins like the cluster's."""
    end = ending.request_end

    def end_more(on: Platform, work: Any) -> list[PlatformError]:
        for pool in on._client.worker_pool_client.find_all_worker_pools():
            if str(pool.name).startswith(work.name):
                on.shut_down_pool(str(pool.id))
        return end(on, work)

    patch.setattr(ending, "request_end", end_more)


def pools_survive(patch: pytest.MonkeyPatch) -> None:
    """`ray down` cancels the work requirement and leaves the pools to themselves."""
    for module in (ending, teardown):
        patch.setattr(module, "pool_tags", lambda _: [])


def work_before_pools(patch: pytest.MonkeyPatch) -> None:
    """`ray down` cancels the work requirement first, and a second one looks for a living work requirement."""

    def end(on: Platform, work: Any, found: Mapping[str, Any]) -> list[PlatformError]:
        failures = ending.cancel(on, work)
        pools = [pool for pool in found.values() if not isinstance(pool, PlatformError)]
        return failures + ending.shut_down(on, pools)

    for module in (ending, teardown):
        patch.setattr(module, "request_end_of", end)
    patch.setattr(generations, "find_last_work", lambda on, cluster, *_: generations.find_work(on, cluster))


def down_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    """`ray down` asks for the end and goes."""
    patch.setattr(teardown, "tear_down", lambda on, work, *_: ending.request_end(on, work))


def new_pools_survive(patch: pytest.MonkeyPatch) -> None:
    """`ray down` looks for pools once, and misses one that appears meanwhile."""
    find = teardown._Teardown._find

    def find_known(self: Any) -> Any:
        known = dict(self._pools)
        found = find(self)
        if not known:
            return found
        self._pools = {name: pool for name, pool in self._pools.items() if name in known}
        return {name: pool for name, pool in found.items() if name in known}

    patch.setattr(teardown._Teardown, "_find", find_known)
    search = teardown._Teardown._find_requirements
    patch.setattr(
        teardown._Teardown, "_find_requirements", lambda self, tags: search(self, () if self._pools else tags)
    )


def ending_is_ended(patch: pytest.MonkeyPatch) -> None:
    """An instance that stops or terminates counts as ended."""
    patch.setattr(compute, "_LIVE_INSTANCES", [InstanceStatus.PENDING, InstanceStatus.RUNNING])


def searches_are_believed(patch: pytest.MonkeyPatch) -> None:
    """A cluster that the search for work requirements does not show is not there."""
    patch.setattr(Platform, "named_work_requirement", lambda *_: None)


def unreadable_instances_stop_the_teardown(patch: pytest.MonkeyPatch) -> None:
    """`ray down` reads the instances before it removes anything, and needs the answer."""
    find = ending.find_pools

    def find_with_instances(on: Platform, work: Any) -> Any:
        found = find(on, work)
        for pool in found.values():
            if not isinstance(pool, PlatformError) and pool.compute_requirement_id is not None:
                on.compute(pool.compute_requirement_id)
        return found

    for module in (ending, teardown):
        patch.setattr(module, "find_pools", find_with_instances)


def unnamed_pools_are_never_made(patch: pytest.MonkeyPatch) -> None:
    """A pool that its name does not show counts as not made: `ray down` searches for nothing."""
    patch.setattr(ending, "_search_pools", lambda *_: {})
    patch.setattr(teardown._Teardown, "_find_requirements", lambda *_: None)
    patch.setattr(teardown, "_has_had_tasks", lambda _: False)


def drivers_count_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """A cluster in which a driver runs counts as idle."""
    patch.setattr(ray_use, "INTERNAL_JOBS", "")


def idle_end_stops_in_the_middle(patch: pytest.MonkeyPatch) -> None:
    """An idle cluster ends its pools, and never its work requirement."""
    patch.setattr(idle_end, "cancel", lambda *_: [])


def idle_end_needs_a_listing(patch: pytest.MonkeyPatch) -> None:
    """An idle cluster never ends itself while one of its pools cannot be read."""
    patch.setattr(idle_end.IdleEnd, "is_due", False)


def killed_idle_end_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """An autoscaler that starts again does not read that an end has begun."""
    patch.setattr(idle_end.Begun, "read", lambda _: None)


def killed_idle_end_is_never_withdrawn(patch: pytest.MonkeyPatch) -> None:
    """An end that has begun is completed, whoever uses the cluster by then."""
    patch.setattr(idle_end.IdleEnd, "_has_effect", lambda *_: True)
