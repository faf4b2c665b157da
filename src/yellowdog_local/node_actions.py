"""Actions that users ask of platform nodes. Knows the one kind that needs no agent: making and removing workers.

An action is done at once or refused, so a node's queue is always seen empty. Running commands and writing files would
need an agent that does so; ours runs tasks only.
"""

from __future__ import annotations

from yellowdog_client.model import (
    AddNodeActionsRequest,
    NodeAction,
    NodeActionQueueSnapshot,
    NodeActionQueueStatus,
    NodeCreateWorkersAction,
    NodeIdFilter,
    NodeWorkerTargetType,
)

from yellowdog_local.errors import InvalidRequest, NotCovered
from yellowdog_local.kernel import Kernel
from yellowdog_local.nodes import Nodes, worker_count
from yellowdog_local.records import NodeRecord, PoolRecord
from yellowdog_local.store import Store


class NodeActions:
    """The node actions of the worker pool service. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, nodes: Nodes) -> None:
        self._kernel = kernel
        self._store = store
        self._nodes = nodes

    def add(self, pool: PoolRecord, request: AddNodeActionsRequest) -> None:
        """Do all actions of a request on the nodes of a pool, or none."""
        actions = [action for group in request.actionGroups for action in group.actions]
        for action in actions:
            _check(action)
        listed = {node_id: self._store.node(node_id) for node_id in request.nodeIdFilterList or ()}
        if any(node.pool is not pool for node in listed.values()):
            raise InvalidRequest("nodeIdFilterList names a node of another worker pool")
        for action in actions:
            for node in listed.values() if action.nodeIdFilter is NodeIdFilter.LIST else pool.nodes.values():
                if node.status.active and isinstance(action, NodeCreateWorkersAction):
                    self._nodes.set_workers(node, _wanted(action, node))

    def snapshot(self, node: NodeRecord) -> NodeActionQueueSnapshot:
        """The queue of a node."""
        return NodeActionQueueSnapshot(
            timestamp=self._kernel.now(),
            status=node.entity.actionQueueStatus or NodeActionQueueStatus.EMPTY,
            waiting=[],
            executing=[],
        )


def _check(action: NodeAction) -> None:
    if not isinstance(action, NodeCreateWorkersAction):
        raise NotCovered(f"The node action {action.action}")
    if action.nodeTypes:
        raise NotCovered("A node action for certain node types")
    if action.nodeIdFilter is NodeIdFilter.EVENT:
        raise NotCovered("A node action for the nodes of an event")
    if action.totalWorkers is not None:
        raise NotCovered("totalWorkers of a node action: give nodeWorkers")
    target = action.nodeWorkers
    if target is None or target.targetCount is None or target.targetCount < 0:
        raise InvalidRequest("nodeWorkers.targetCount must be set and not negative")
    if target.targetType is NodeWorkerTargetType.CUSTOM:
        raise NotCovered("nodeWorkers of type CUSTOM")


def _wanted(action: NodeCreateWorkersAction, node: NodeRecord) -> int:
    vcpus = node.entity.details.vcpus if node.entity.details else None
    return worker_count(action.nodeWorkers, vcpus or 1.0)
