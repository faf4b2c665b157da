"""Node actions: add and remove workers, write files, run commands on platform nodes.

Each node has a queue of actions that run in order. The platform adds and removes workers; the node's agent runs all
other actions as its own user. A failed action stops the queue of its node.
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
        """Queue all actions of a request for the platform nodes of a pool; if one is refused, none."""
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
                self._continue(node)

    def ended(self, node_id: str, end: ActionEnd) -> None:
        """Handle an agent's report that an action has ended; continue with the next one."""
        node = self._store.nodes.get(node_id)
        if node is None or node.actions.executing is None or end.action != node.actions.begun:
            return
        action, node.actions.executing = node.actions.executing, None
        if end.exitCode != 0:
            node.actions.failed = action
        self._continue(node)

    def snapshot(self, node: NodeRecord) -> NodeActionQueueSnapshot:
        """The queue of a platform node."""
        queue = node.actions
        return NodeActionQueueSnapshot(
            timestamp=self._kernel.now(),
            status=queue.status,
            waiting=list(queue.waiting),
            executing=[queue.executing] if queue.executing is not None else [],
            failed=queue.failed,
        )

    def _continue(self, node: NodeRecord) -> None:
        queue = node.actions
        while queue.waiting and queue.executing is None and queue.failed is None:
            action = queue.waiting.pop(0)
            if isinstance(action, NodeCreateWorkersAction):
                self._nodes.set_workers(node, _wanted(action, node))
                continue
            queue.executing = action
            queue.begun += 1
            self._agents.send(node.id, {"type": "RUN_ACTION", "action": {"number": queue.begun, **_command(action)}})
        node.entity.actionQueueStatus = queue.status
        if queue.status is NodeActionQueueStatus.EMPTY:
            node.pool.acting.pop(node.id, None)
        elif node.status.active:
            node.pool.acting[node.id] = node
        node.pool.changed.mark(self._kernel.now())
        self._kernel.want_pass()  # event streams of the pool report the queue's status


def _command(action: NodeAction) -> dict[str, Any]:
    """An action as it is sent to agents."""
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
        _command(action)
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
