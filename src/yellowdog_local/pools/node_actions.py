"""Actions that users ask of platform nodes: workers made and removed, files written, commands run.

Each node has a queue, worked off one action after the other. The platform itself makes workers; the rest is done by the
node's agent, as its own user. An action that fails stops the queue of its node for good.
"""

from __future__ import annotations

from typing import Any

from yellowdog_client.model import (
    AddNodeActionsRequest,
    NodeAction,
    NodeActionQueueSnapshot,
    NodeActionQueueStatus,
    NodeCreateWorkersAction,
    NodeIdFilter,
    NodeRunCommandAction,
    NodeWorkerTargetType,
    NodeWriteFileAction,
)

from yellowdog_local.errors import InvalidRequest, NotCovered
from yellowdog_local.messages import ActionEnd, Commands
from yellowdog_local.pools.nodes import Nodes, worker_count
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import NodeRecord, PoolRecord
from yellowdog_local.state.store import Store


class NodeActions:
    """The node actions of the worker pool service. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, nodes: Nodes, agents: Commands) -> None:
        self._kernel = kernel
        self._store = store
        self._nodes = nodes
        self._agents = agents

    def add(self, pool: PoolRecord, request: AddNodeActionsRequest) -> None:
        """Queue all actions of a request for the nodes of a pool, or none."""
        actions = [action for group in request.actionGroups for action in group.actions]
        for action in actions:
            _check(action)
        listed = {node_id: self._store.node(node_id) for node_id in request.nodeIdFilterList or ()}
        if any(node.pool is not pool for node in listed.values()):
            raise InvalidRequest("nodeIdFilterList names a node of another worker pool")
        for action in actions:
            for node in listed.values() if action.nodeIdFilter is NodeIdFilter.LIST else pool.nodes.values():
                if node.status.active:
                    node.actions.waiting.append(action)
        for node in tuple(pool.nodes.values()):
            if node.status.active:
                self._go_on(node)

    def ended(self, node_id: str, end: ActionEnd) -> None:
        """Note that a node's agent has done what it was told, or has failed to."""
        node = self._store.nodes.get(node_id)
        if node is None or node.actions.executing is None or end.action != node.actions.begun:
            return
        action, node.actions.executing = node.actions.executing, None
        if end.exitCode != 0:
            node.actions.failed = action
        self._go_on(node)

    def snapshot(self, node: NodeRecord) -> NodeActionQueueSnapshot:
        """The queue of a node."""
        queue = node.actions
        return NodeActionQueueSnapshot(
            timestamp=self._kernel.now(),
            status=queue.status,
            waiting=list(queue.waiting),
            executing=[queue.executing] if queue.executing is not None else [],
            failed=queue.failed,
        )

    def _go_on(self, node: NodeRecord) -> None:
        queue = node.actions
        while queue.waiting and queue.executing is None and queue.failed is None:
            action = queue.waiting.pop(0)
            if isinstance(action, NodeCreateWorkersAction):
                self._nodes.set_workers(node, _wanted(action, node))
                continue
            queue.executing = action
            queue.begun += 1
            self._agents.send(node.id, {"type": "RUN_ACTION", "action": {"number": queue.begun, **_told(action)}})
        node.entity.actionQueueStatus = queue.status
        if queue.status is NodeActionQueueStatus.EMPTY:
            node.pool.acting.pop(node.id, None)
        elif node.status.active:
            node.pool.acting[node.id] = node
        node.pool.changed.mark(self._kernel.now())
        self._kernel.want_pass()  # so that whoever follows the pool sees it


def _told(action: NodeAction) -> dict[str, Any]:
    """An action as agents are told of it."""
    if isinstance(action, NodeWriteFileAction):
        return {"kind": action.action, "path": action.path, "content": action.content or ""}
    if isinstance(action, NodeRunCommandAction):
        arguments, environment = action.arguments or [], action.environment or {}
        return {"kind": action.action, "path": action.path, "arguments": arguments, "environment": environment}
    raise NotCovered(f"The node action {action.action}")


def _check(action: NodeAction) -> None:
    if action.nodeTypes:
        raise NotCovered("A node action for certain node types")
    if action.nodeIdFilter is NodeIdFilter.EVENT:
        raise NotCovered("A node action for the nodes of an event")
    if not isinstance(action, NodeCreateWorkersAction):
        _told(action)
        if not getattr(action, "path", ""):
            raise InvalidRequest(f"path of a {action.action} action must be set")
        return
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
