"""Ray's control store on the head: joined nodes, busy nodes, placement groups, draining. Independent of YellowDog."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from yellowdog_ray.cluster.journal import Act, Note, note_nothing
from yellowdog_ray.monitor.ray_state import NOT_IN, TIMEOUT_SECONDS, label_constraints, read_state
from yellowdog_ray.monitor.ray_use import RayUse, read_use
from yellowdog_ray.node.ports import GCS_PORT
from yellowdog_ray.seen_errors import DistinctErrors

if TYPE_CHECKING:
    from ray.core.generated.autoscaler_pb2 import ClusterResourceState, ResourceRequest

logger = logging.getLogger(__name__)

T = TypeVar("T")

_DRAINED = frozenset({3, 4})  # NodeDeathInfo.Reason.AUTOSCALER_DRAIN_PREEMPTED and _IDLE of Ray's common.proto
_ALIVE = 0  # GcsNodeInfo.GcsNodeState.ALIVE of Ray's gcs.proto


Bundle = tuple[dict[str, float], dict[str, str], int]
"""Resources, label selector and count of one shape that `request_resources` has requested."""


class RayNodes:
    """Ray's nodes by our node ids (`RAY_CLOUD_INSTANCE_ID` of the process that started them).

    Args:
        address: Ray's control store.
        to_local: converts a moment of the platform's clock to this machine's, by which Ray drains.
        note: receives the nodes that Ray drains for RayDog.
    """

    def __init__(
        self,
        address: str = f"127.0.0.1:{GCS_PORT}",
        to_local: Callable[[datetime], datetime] = lambda moment: moment,
        note: Note = note_nothing,
    ) -> None:
        self._note = note
        self._address = address
        self._to_local = to_local
        self._client: Any = None
        self._errors = DistinctErrors()
        self._ray_ids: dict[str, str] = {}
        self._address_of: dict[str, str] = {}
        self._addresses: frozenset[str] = frozenset()
        self._drained: frozenset[str] = frozenset()
        self._addresses_without_id: frozenset[str] = frozenset()

    def joined(self, node_id: str, address: str | None) -> bool:
        """Whether this node's raylet has joined, now or earlier.

        A script may start Ray without the task's environment, as in a container. Such a node has no id, and is
        identified by its address, as under autoscaler v1.
        """
        return node_id in self._ray_ids or address in self._addresses

    def address(self, node_id: str) -> str | None:
        """The address under which this node has joined; None for one that has not."""
        return self._address_of.get(node_id)

    def lacks_id(self, address: str | None) -> bool:
        """Whether the raylet at this address was started without an id."""
        return address in self._addresses_without_id

    def drained(self, node_id: str) -> bool:
        """Whether this node's raylet has ended because Ray's autoscaler, or a spot notice, drained it."""
        return node_id in self._drained

    def refresh(self) -> bool:
        """Read which nodes have joined; without an answer the last one stands. Returns whether there was an answer."""
        return self._request(lambda client: self._keep(client.get_all_node_info(timeout=TIMEOUT_SECONDS))) is not None

    def listed_ray_ids(self) -> frozenset[str] | None:
        """Ray's own ids of all nodes that the control store lists, dead ones too; None without an answer."""
        return self._request(lambda client: frozenset(node.node_id.hex() for node in read_state(client).node_states))

    def busy(self) -> set[str] | None:
        """Ids of the nodes that have work; None without an answer."""
        return self._request(lambda client: _busy(read_state(client)))

    def use(self) -> RayUse | None:
        """The use of the cluster; None without an answer."""
        return self._request(read_use)

    def requested_resources(self) -> tuple[bool, list[Bundle]] | None:
        """The last request of `request_resources` to autoscaler v2; None without an answer.

        Returns:
            Whether there was one since the control store's start, and its content.
        """
        return self._request(lambda client: _requested(read_state(client)))

    def request_resources(self, bundles: Sequence[Bundle]) -> bool:
        """Request resources as `request_resources` does. Returns whether the control store has it."""

        def call(client: Any) -> bool:
            resources, selectors, counts = map(list, zip(*bundles, strict=True))
            request = client.request_cluster_resource_constraint
            try:
                request(resources, selectors, counts, timeout_s=TIMEOUT_SECONDS)
            except TypeError:  # Ray 2.50 has no label selectors there
                request(resources, counts, timeout_s=TIMEOUT_SECONDS)
            return True

        return self._request(call) or False

    def counts_placed_groups(self) -> bool:
        """Whether autoscaler v1 reads placement groups as waiting that have their nodes, or are gone.

        The control store makes v1's list of them once a second (`GcsPlacementGroupManager::Tick` of Ray 2.60), but
        reads the nodes' free resources at other moments. In between v1 has a group that waits and nodes that are
        full, and launches others. v2's list is made on request.
        """
        return self._request(_counts_placed_groups) or False

    def drain(self, node_id: str, deadline: datetime, why: str) -> bool:
        """Let a node take no new work, and end its work by a deadline. Returns whether Ray has agreed."""
        from ray.core.generated.autoscaler_pb2 import DrainNodeReason

        ray_id = self._ray_ids.get(node_id)
        if ray_id is None:
            return False
        answer: tuple[bool, str] | None = self._request(
            lambda client: client.drain_node(
                node_id=ray_id,
                reason=DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION,
                reason_message=why,
                deadline_timestamp_ms=int(self._to_local(deadline).timestamp() * 1000),
            )
        )
        has_agreed = answer is not None and answer[0]
        if has_agreed:
            self._note(Act.DRAINED, why, node_ids=[node_id])
        return has_agreed

    def state(self) -> ClusterResourceState | None:
        """Ray's view of the cluster, with its nodes and what waits for resources; None without an answer."""
        return self._request(read_state)

    def _keep(self, nodes: dict[Any, Any]) -> bool:
        with_id = [info for info in nodes.values() if info.instance_id]
        ray_ids = {info.instance_id: info.node_id.hex() for info in with_id}
        address_of = {info.instance_id: info.node_manager_address for info in with_id}
        alive = [info for info in nodes.values() if info.state == _ALIVE]
        addresses = frozenset(info.node_manager_address for info in alive)
        without_id = frozenset(info.node_manager_address for info in alive if not info.instance_id)
        drained = frozenset(info.instance_id for info in with_id if info.death_info.reason in _DRAINED)
        self._ray_ids, self._address_of, self._drained = ray_ids, address_of, drained
        self._addresses, self._addresses_without_id = addresses, without_id
        return True

    def _request(self, call: Callable[[Any], T]) -> T | None:
        """Run one request, the conversion of its answer included. None: there is no answer that can be used."""
        # A private name, the same one that Ray's monitor itself uses.
        from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
        from ray.exceptions import RayError

        try:
            if self._client is None:
                self._client = GcsClient(address=self._address)
            return call(self._client)
        except RayError as error:
            logger.debug("no answer from Ray's control store: %s", error)
        except Exception as error:  # a mistake of ours, or a change in Ray; neither may stop the loop
            if self._errors.is_new(error):
                logger.warning("an answer of Ray's control store cannot be used", exc_info=error)
        return None


def _requested(state: ClusterResourceState) -> tuple[bool, list[Bundle]]:
    requests = [one for constraint in state.cluster_resource_constraints for one in constraint.resource_requests]
    bundles = [(dict(one.request.resources_bundle), _selector(one.request), one.count) for one in requests]
    return bool(state.cluster_resource_constraints), bundles


def _selector(request: ResourceRequest) -> dict[str, str]:
    """The label selector as a user writes it, such as `!in(a,b)`."""
    return {
        one.label_key: f"{'!' * (one.operator == NOT_IN)}in({','.join(one.label_values)})"
        for one in label_constraints(request)
    }


def _busy(state: ClusterResourceState) -> set[str]:
    from ray.core.generated.autoscaler_pb2 import NodeStatus

    nodes: Iterable[Any] = state.node_states
    return {node.instance_id for node in nodes if node.status != NodeStatus.DEAD and node.idle_duration_ms == 0}


def _counts_placed_groups(client: Any) -> bool:
    usage = client.get_all_resource_usage(timeout=TIMEOUT_SECONDS)
    groups = usage.resource_usage_data.placement_group_load.placement_group_data
    if not groups:
        return False
    waiting = {gang.details.partition(":")[0] for gang in read_state(client).pending_gang_resource_requests}
    return any(group.placement_group_id.hex() not in waiting for group in groups)
