"""What Ray's own control store on the head knows: which nodes have joined, which are busy, which groups wait for nodes.

A node can be drained there. Knows nothing of YellowDog. Only for use on the head.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from yellowdog_ray.node.scripts import GCS_PORT

if TYPE_CHECKING:
    from ray.core.generated.autoscaler_pb2 import ClusterResourceState

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TIMEOUT_SECONDS = 3
_ALIVE = 0  # GcsNodeInfo.GcsNodeState.ALIVE of Ray's gcs.proto


class RayNodes:
    """Ray's nodes by our node ids (`RAY_CLOUD_INSTANCE_ID` of the process that started them)."""

    def __init__(self, address: str = f"127.0.0.1:{GCS_PORT}") -> None:
        self._address = address
        self._client: Any = None
        self._ray_ids: dict[str, str] = {}
        self._address_of: dict[str, str] = {}
        self._addresses: frozenset[str] = frozenset()
        self._addresses_without_id: frozenset[str] = frozenset()

    def joined(self, node_id: str, address: str | None) -> bool:
        """Whether this node's raylet has joined, now or earlier.

        A script that starts Ray where the task's environment does not reach, such as in a container, gives it no id:
        then it is known by its address, as Ray's old autoscaler knows all nodes.
        """
        return node_id in self._ray_ids or address in self._addresses

    def address(self, node_id: str) -> str | None:
        """The address under which this node has joined; None for one that has not."""
        return self._address_of.get(node_id)

    def lacks_id(self, address: str | None) -> bool:
        """Whether the raylet at this address was started without an id."""
        return address in self._addresses_without_id

    def refresh(self) -> bool:
        """Ask who has joined; while there is no answer the last one stands. Returns whether there was an answer."""
        nodes = self._ask(lambda client: client.get_all_node_info(timeout=_TIMEOUT_SECONDS))
        if nodes is None:
            return False
        self._ray_ids = {info.instance_id: info.node_id.hex() for info in nodes.values() if info.instance_id}
        self._address_of = {info.instance_id: info.node_manager_address for info in nodes.values() if info.instance_id}
        alive = [info for info in nodes.values() if info.state == _ALIVE]
        self._addresses = frozenset(info.node_manager_address for info in alive)
        self._addresses_without_id = frozenset(info.node_manager_address for info in alive if not info.instance_id)
        return True

    def busy(self) -> set[str] | None:
        """Ids of the nodes that have work; None while there is no answer."""
        from ray.core.generated.autoscaler_pb2 import NodeStatus

        state = self._state()
        if state is None:
            return None
        return {
            node.instance_id
            for node in state.node_states
            if node.status != NodeStatus.DEAD and node.idle_duration_ms == 0
        }

    def counts_placed_groups(self) -> bool:
        """Whether autoscaler v1 is told that placement groups wait for nodes which have theirs, or are gone.

        The control store makes v1's list of them once a second (`GcsPlacementGroupManager::Tick` of Ray 2.60), but
        looks at the nodes' free resources at other moments. In between v1 sees a group that waits, sees its nodes
        full, and makes others. v2 gets a list that is made when it asks.
        """
        told = self._ask(lambda client: client.get_all_resource_usage(timeout=_TIMEOUT_SECONDS))
        groups = told.resource_usage_data.placement_group_load.placement_group_data if told else []
        if not groups:
            return False
        state = self._state()
        if state is None:
            return False
        waiting = {gang.details.partition(":")[0] for gang in state.pending_gang_resource_requests}
        return any(group.placement_group_id.hex() not in waiting for group in groups)

    def drain(self, node_id: str, deadline: datetime, why: str) -> bool:
        """Let a node take no new work, and end what it has by a deadline. Returns whether Ray has agreed."""
        from ray.core.generated.autoscaler_pb2 import DrainNodeReason

        ray_id = self._ray_ids.get(node_id)
        if ray_id is None:
            return False
        answer: tuple[bool, str] | None = self._ask(
            lambda client: client.drain_node(
                node_id=ray_id,
                reason=DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION,
                reason_message=why,
                deadline_timestamp_ms=int(deadline.timestamp() * 1000),
            )
        )
        return answer is not None and answer[0]

    def _state(self) -> ClusterResourceState | None:
        from ray.core.generated.autoscaler_pb2 import GetClusterResourceStateReply

        reply = self._ask(lambda client: client.get_cluster_resource_state())
        return None if reply is None else GetClusterResourceStateReply.FromString(reply).cluster_resource_state

    def _ask(self, question: Callable[[Any], T]) -> T | None:
        # A private name, the same one that Ray's monitor itself uses.
        from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled

        try:
            if self._client is None:
                self._client = GcsClient(address=self._address)
            return question(self._client)
        except Exception as error:  # noqa: BLE001 - Ray's client raises errors of many kinds, none of them ours to judge
            logger.debug("Ray's control store does not answer: %s", error)
            return None
