"""Namespace policies: limits of the number of platform nodes to which a namespace's worker pools scale up."""

from __future__ import annotations

from yellowdog_client.model import NamespaceAutoscalingCapacityResponse, NamespacePolicy, NamespacePolicySearch

from yellowdog_local.errors import InvalidRequest, NotFound
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.plain_records import PolicyRecord
from yellowdog_local.state.store import Store


class Policies:
    """Namespace policies. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store) -> None:
        self._kernel = kernel
        self._store = store

    def save(self, namespace: str, entity: NamespacePolicy) -> None:
        """Store a namespace's policy, in the place of an earlier one."""
        if entity.namespace != namespace:
            raise InvalidRequest("namespace must be the one that the policy is saved for")
        if entity.autoscalingMaxNodes is not None and entity.autoscalingMaxNodes < 0:
            raise InvalidRequest("autoscalingMaxNodes must not be negative")
        known = self._store.policies.get(namespace)
        seq = known.seq if known is not None else self._kernel.next_sequence()
        self._store.policies[namespace] = PolicyRecord(seq, entity)
        self._kernel.want_pass()

    def get(self, namespace: str) -> NamespacePolicy:
        """A namespace's policy."""
        record = self._store.policies.get(namespace)
        if record is None:
            raise NotFound("Namespace policy", namespace)
        return record.entity

    def delete(self, namespace: str) -> None:
        """Delete a namespace's policy."""
        self.get(namespace)
        del self._store.policies[namespace]
        self._kernel.want_pass()

    def search(self, wanted: NamespacePolicySearch) -> list[PolicyRecord]:
        """The policies that match a search, in the order of creation."""
        return [
            record
            for namespace, record in self._store.policies.items()
            if wanted.namespace in (None, namespace) and (not wanted.namespaces or namespace in wanted.namespaces)
        ]

    def room(self, namespace: str) -> int | None:
        """How many more platform nodes autoscaling may add in a namespace; None for no limit."""
        record = self._store.policies.get(namespace)
        if record is None or record.entity.autoscalingMaxNodes is None:
            return None
        pools = (pool for pool in self._store.open_pools.values() if pool.namespace == namespace)
        wanted = sum(pool.target + pool.draining_nodes for pool in pools if pool.status.available)
        return max(0, record.entity.autoscalingMaxNodes - wanted)

    def capacity(self, namespace: str) -> NamespaceAutoscalingCapacityResponse:
        """The remaining autoscaling capacity of a namespace."""
        room = self.room(namespace)
        return NamespaceAutoscalingCapacityResponse(namespace, capacityLimited=room is not None, remainingCapacity=room)
