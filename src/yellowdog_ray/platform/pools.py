"""Calls of the worker pool service: worker pools and their platform nodes."""

from __future__ import annotations

from datetime import datetime, timezone

from yellowdog_client.model import InstantRange, Node, NodeSearch, NodeStatus, WorkerPoolSearch, WorkerPoolSummary

from yellowdog_ray.errors import NotFound
from yellowdog_ray.platform.calls import platform_call
from yellowdog_ray.platform.compute import ComputeCalls
from yellowdog_ray.platform.convert_machines import LIVE_NODES, named_entry, platform_node_view, pool_view
from yellowdog_ray.platform.provisioning import PoolSpec, pool_properties, template_usage
from yellowdog_ray.platform.shapes import entity
from yellowdog_ray.platform.types import NamedEntry, PlatformNodeView, PoolView

_EVER = datetime.fromtimestamp(0, timezone.utc)
"""The start of a range of time that has no limit."""


class PoolCalls(ComputeCalls):
    """Worker pools and platform nodes."""

    @platform_call
    def find_pool(self, name: str) -> PoolView | None:
        """The worker pool of exactly this name, or None."""
        try:
            with self._sdk(f"worker pool '{name}'"):
                found = self._client.worker_pool_client.get_worker_pool_by_name(self.namespace, name)
        except NotFound:
            return None
        return pool_view(found)

    @platform_call
    def listed_pools(self, name_part: str) -> list[NamedEntry]:
        """The worker pools of the namespace whose names may contain this, ended ones too: one call per page."""
        subject = f"the worker pools named '{name_part}'"
        with self._sdk(subject):
            results = self._client.worker_pool_client.get_worker_pools(
                WorkerPoolSearch(namespaces=[self.namespace], name=name_part)
            )
        return [named_entry(pool) for pool in self._items(subject, results, WorkerPoolSummary)]

    @platform_call
    def existing_pool(self, reference: str) -> PoolView:
        """A worker pool of another owner, by its id or its `namespace/name`; it must exist."""
        pools = self._client.worker_pool_client
        namespace, _, name = reference.rpartition("/")
        with self._sdk(f"worker pool '{reference}'"):
            if reference.startswith("ydid:"):
                found = pools.get_worker_pool_by_id(reference)
            else:
                found = pools.get_worker_pool_by_name(namespace, name)
        return pool_view(found)

    @platform_call
    def provision_pool(self, spec: PoolSpec) -> PoolView:
        """Provision a worker pool: two calls, since not every platform accepts names. It costs money from now on."""
        usage = template_usage(spec, self.template_id(spec.machine.template), self.namespace)
        properties = pool_properties(spec)
        with self._sdk(f"worker pool '{spec.name}'"):
            provisioned = self._client.worker_pool_client.provision_worker_pool(usage, properties)
        return pool_view(provisioned)

    @platform_call
    def pool(self, pool_id: str) -> PoolView:
        """A worker pool's present state."""
        with self._sdk(f"worker pool {pool_id}"):
            found = self._client.worker_pool_client.get_worker_pool_by_id(pool_id)
        return pool_view(found)

    @platform_call
    def shut_down_pool(self, pool_id: str) -> None:
        """Shut down a worker pool: executing tasks may finish, then its instances go. Repeating it is no error."""
        with self._sdk(f"worker pool {pool_id}"):
            self._client.worker_pool_client.shutdown_worker_pool_by_id(pool_id)

    @platform_call
    def platform_nodes(self, pool_id: str, since: datetime | None = None) -> list[PlatformNodeView]:
        """Every living platform node of a pool, with its addresses: one call per page.

        Args:
            pool_id: the pool.
            since: leave out those that registered before.
        """
        registered = InstantRange(min=since) if since else None
        search = NodeSearch(workerPoolId=pool_id, statuses=LIVE_NODES, registeredTime=registered)
        return self._nodes(f"the nodes of worker pool {pool_id}", search)

    @platform_call
    def tagged_nodes(self, worker_tag: str) -> list[PlatformNodeView]:
        """Every living platform node with this worker tag, of any pool that the API key may read: one call per page."""
        search = NodeSearch(workerTag=worker_tag, statuses=LIVE_NODES)
        return self._nodes(f"the nodes with worker tag '{worker_tag}'", search)

    @platform_call
    def known_nodes(self, worker_tag: str) -> list[PlatformNodeView]:
        """Every platform node with this worker tag that is alive or was lost: one call per page."""
        search = NodeSearch(workerTag=worker_tag, statuses=[*LIVE_NODES, NodeStatus.LOST])
        return self._nodes(f"the nodes with worker tag '{worker_tag}'", search)

    @platform_call
    def lost_nodes(self, pool_id: str) -> list[PlatformNodeView]:
        """Every platform node of a pool whose agent was lost: one call per page."""
        search = NodeSearch(workerPoolId=pool_id, statuses=[NodeStatus.LOST])
        return self._nodes(f"the lost nodes of worker pool {pool_id}", search)

    @platform_call
    def nodes_with_spot_notice(self) -> list[PlatformNodeView]:
        """Every living platform node with a spot notice, of any pool that the API key may read: one call."""
        search = NodeSearch(statuses=LIVE_NODES, preemptionWarningTime=InstantRange(min=_EVER))
        return self._nodes("the nodes with a spot notice", search)

    @platform_call
    def platform_node(self, node_id: str) -> PlatformNodeView:
        """One platform node."""
        subject = f"platform node {node_id}"
        with self._sdk(subject):
            found = self._client.worker_pool_client.get_node_by_id(node_id)
        return platform_node_view(entity(found, Node, subject))

    @platform_call
    def shut_down_node(self, node_id: str) -> None:
        """Shut down a platform node, and with it its instance, once its tasks have ended."""
        with self._sdk(f"platform node {node_id}"):
            self._client.worker_pool_client.shutdown_node_by_id(node_id)

    def _nodes(self, subject: str, search: NodeSearch, most: int | None = None) -> list[PlatformNodeView]:
        with self._sdk(subject):
            results = self._client.worker_pool_client.get_nodes(search)
        return [platform_node_view(node) for node in self._items(subject, results, Node, most)]
