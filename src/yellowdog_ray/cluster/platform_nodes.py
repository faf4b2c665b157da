"""The platform nodes that a cluster's tasks were allocated to, as last read. Independent of Ray's nodes.

One thread updates; others may read meanwhile.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta

from yellowdog_ray.errors import NotFound
from yellowdog_ray.platform.calls import PAGE_SIZE
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import PlatformNodeView, TaskGroupView, TaskView

REGISTERED_BEFORE = timedelta(minutes=1)
"""How long before its task's allocation a platform node may have registered and still be among the latest."""

ADDRESS_SECONDS = 10.0
"""How often a platform node without a private address is read again."""

REREAD_SECONDS = 600.0
"""How often every platform node is read again: an address may change, and the platform shows no sign of it."""


class PlatformNodes:
    """Reads platform nodes when a task is allocated to them, by as few calls as possible.

    Args:
        platform: the platform.
        monotonic: seconds that never go back.
        reread_seconds: how often every platform node is read again.
    """

    def __init__(
        self, platform: Platform, monotonic: Callable[[], float], reread_seconds: float = REREAD_SECONDS
    ) -> None:
        self._platform = platform
        self._monotonic = monotonic
        self._reread_seconds = reread_seconds
        self._read_at = monotonic()
        self._lacks_address = False
        self._known: Mapping[str, PlatformNodeView] = {}
        self._read_until: dict[str, datetime] = {}
        self._pool_ids: dict[str, str] = {}

    @property
    def known(self) -> Mapping[str, PlatformNodeView]:
        """The platform nodes by id. The mapping is never changed, only replaced."""
        return self._known

    def clear(self) -> None:
        """Delete which pools serve which task groups: another work requirement has others."""
        self._pool_ids.clear()

    @property
    def is_due(self) -> bool:
        """Whether it is time to read addresses again: one is missing, or may have changed. No call, and no loop."""
        return bool(self._known) and self._is_stale(lacks_address=self._lacks_address)

    def _is_stale(self, *, lacks_address: bool) -> bool:
        age = self._monotonic() - self._read_at
        return age >= self._reread_seconds or (lacks_address and age >= ADDRESS_SECONDS)

    def update(self, tasks: Collection[TaskView], groups: Iterable[TaskGroupView]) -> None:
        """Read the platform nodes of these tasks that are not known yet, or are due; delete those of no task.

        Args:
            tasks: every live task.
            groups: the task groups.

        Raises:
            PlatformError: something could not be read; then everything stays as it was.
        """
        nodes: dict[str, PlatformNodeView] = {}
        unknown: dict[str, set[str]] = {}
        is_due = self.is_due
        for task in tasks:
            if (node_id := task.platform_node_id) is None:
                continue
            known = self._known.get(node_id)
            if known is not None:
                nodes[node_id] = known
            if known is None or self._is_stale(lacks_address=known.private_ip is None):
                unknown.setdefault(task.group_id, set()).add(node_id)
        sizes = Counter(task.group_id for task in tasks) if unknown else Counter[str]()
        to_read = [group for group in groups if group.id in unknown]
        for found in run_concurrently(lambda group: self._read(group, unknown[group.id], sizes[group.id]), to_read):
            nodes |= found
        if is_due or not self._known:
            self._read_at = self._monotonic()
        self._known = nodes
        self._lacks_address = any(node.private_ip is None for node in nodes.values())

    def _read(self, group: TaskGroupView, node_ids: set[str], group_size: int) -> dict[str, PlatformNodeView]:
        """Read these platform nodes of a group's pool; those that the platform does not show are left out."""
        if len(node_ids) * PAGE_SIZE < group_size:
            return self._read_each(node_ids)
        pool_id = self._pool_of(group, node_ids)
        if pool_id is None:
            return {}
        since = None if node_ids & self._known.keys() else self._read_until.get(pool_id)
        found = self._read_pool(pool_id, since, node_ids)
        if since and node_ids - found.keys():
            found = self._read_pool(pool_id, None, node_ids)
        if group.counts and group.counts.changed:
            self._read_until[pool_id] = group.counts.changed - REGISTERED_BEFORE
        return found

    def _read_pool(self, pool_id: str, since: datetime | None, node_ids: set[str]) -> dict[str, PlatformNodeView]:
        return {node.id: node for node in self._platform.platform_nodes(pool_id, since) if node.id in node_ids}

    def _read_each(self, node_ids: Iterable[str]) -> dict[str, PlatformNodeView]:
        found = {}
        for node_id in node_ids:
            with contextlib.suppress(NotFound):
                found[node_id] = self._platform.platform_node(node_id)
        return found

    def _pool_of(self, group: TaskGroupView, node_ids: Iterable[str]) -> str | None:
        """The id of the pool that serves a task group: at most one call."""
        if group.id not in self._pool_ids:
            pool_id = self._pool_of_any(node_ids) if group.configured else self._own_pool(group)
            if pool_id is None:
                return None
            self._pool_ids[group.id] = pool_id
        return self._pool_ids[group.id]

    def _own_pool(self, group: TaskGroupView) -> str | None:
        pool = self._platform.find_pool(group.worker_tag)
        return pool.id if pool else None

    def _pool_of_any(self, node_ids: Iterable[str]) -> str | None:
        try:
            return self._platform.platform_node(min(node_ids)).pool_id
        except NotFound:
            return None
