from __future__ import annotations

from typing import Any

import pytest
from yellowdog_client.model import (
    AddNodeActionsRequest,
    NodeActionGroup,
    NodeActionQueueStatus,
    NodeCreateWorkersAction,
    NodeIdFilter,
    NodeRunCommandAction,
    NodeWorkerTarget,
    NodeWorkerTargetType,
    NodeWriteFileAction,
)

from tests.simulation.lab import Lab
from yellowdog_local.errors import InvalidRequest, NotCovered
from yellowdog_local.state.records import PoolRecord


def request(*actions: Any, nodes: list[str] | None = None) -> AddNodeActionsRequest:
    return AddNodeActionsRequest([NodeActionGroup(list(actions))], nodes)


def run(path: str = "run", **environment: str) -> NodeRunCommandAction:
    return NodeRunCommandAction(path, environment=environment)


def workers(count: float | None, kind: NodeWorkerTargetType = NodeWorkerTargetType.PER_NODE) -> NodeCreateWorkersAction:
    return NodeCreateWorkersAction(NodeWorkerTarget(kind, count))


def add(lab: Lab, pool: PoolRecord, wanted: AddNodeActionsRequest) -> None:
    lab.do(lambda p: p.node_actions.add(pool, wanted))


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (NodeRunCommandAction(""), InvalidRequest),
        (NodeWriteFileAction("", "text"), InvalidRequest),
        (NodeRunCommandAction("run", nodeTypes=["big"]), NotCovered),
        (NodeRunCommandAction("run", nodeIdFilter=NodeIdFilter.EVENT), NotCovered),
        (workers(None), InvalidRequest),
        (workers(-1), InvalidRequest),
        (workers(1, NodeWorkerTargetType.CUSTOM), NotCovered),
        (NodeCreateWorkersAction(), InvalidRequest),
        (NodeCreateWorkersAction(totalWorkers=3), NotCovered),
    ],
)
def test_refused_action_leaves_the_queues_empty(lab: Lab, action: Any, error: type[Exception]) -> None:
    pool = lab.booted()
    with pytest.raises(error):
        add(lab, pool, request(workers(5), action))
    assert len(lab.node(pool).workers) == 1


def test_list_names_nodes_of_the_pool_only(lab: Lab) -> None:
    pool, other = lab.booted(2), lab.booted(1, "other")
    first, second = pool.nodes.values()
    action = workers(3)
    action.nodeIdFilter = NodeIdFilter.LIST
    with pytest.raises(InvalidRequest, match="another worker pool"):
        add(lab, pool, request(action, nodes=[lab.node(other).id]))
    add(lab, pool, request(action, nodes=[second.id]))
    assert (len(first.workers), len(second.workers)) == (1, 3)


def test_actions_run_in_order_and_a_failure_stops_the_queue(lab: Lab) -> None:
    pool = lab.booted()
    node = lab.node(pool)
    add(lab, pool, request(run(SIM_ACTION_SECONDS="2"), run("bad", SIM_ACTION_EXIT_CODE="1"), workers(4)))
    snapshot = lab.platform.node_actions.snapshot(node)
    assert (snapshot.status, len(snapshot.waiting or ())) == (NodeActionQueueStatus.EXECUTING, 2)
    assert pool.acting == {node.id: node}
    lab.advance(2)
    assert (node.actions.status, getattr(node.actions.failed, "path", "")) == (NodeActionQueueStatus.FAILED, "bad")
    assert (len(node.workers), node.entity.actionQueueStatus) == (1, NodeActionQueueStatus.FAILED)


def test_queue_is_empty_after_its_last_action(lab: Lab) -> None:
    pool = lab.booted()
    node = lab.node(pool)
    add(lab, pool, request(NodeWriteFileAction("file"), run(), workers(1, NodeWorkerTargetType.PER_VCPU)))
    assert (node.actions.status, pool.acting) == (NodeActionQueueStatus.EMPTY, {})
    assert (len(node.workers), node.actions.begun) == (2, 2)
