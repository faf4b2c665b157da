from __future__ import annotations

from typing import Any

import pytest
from yellowdog_client.model import NodeStatus, NodeWorkerTarget, NodeWorkerTargetType, TaskStatus, WorkerStatus

from tests.simulation.lab import Lab, LabMaker
from yellowdog_local.errors import Gone
from yellowdog_local.messages import Registration
from yellowdog_local.pools.nodes import worker_count

PER_NODE, PER_VCPU = NodeWorkerTargetType.PER_NODE, NodeWorkerTargetType.PER_VCPU


@pytest.mark.parametrize(
    ("target", "vcpus", "count"),
    [
        (None, 8, 1),
        (NodeWorkerTarget(PER_NODE), 8, 1),
        (NodeWorkerTarget(PER_NODE, 3), 8, 3),
        (NodeWorkerTarget(PER_NODE, 0), 8, 0),
        (NodeWorkerTarget(PER_VCPU, 0.5), 5, 2),
        (NodeWorkerTarget(PER_VCPU, 0.1), 2, 1),
    ],
)
def test_worker_count_follows_the_target(target: Any, vcpus: float, count: int) -> None:
    assert worker_count(target, vcpus) == count


def registration(instance_id: str) -> Registration:
    return Registration(
        instanceId=instance_id,
        hostname="host",
        privateIpAddress="10.0.0.1",
        publicIpAddress="198.18.0.1",
        vcpus=2,
        ram=4,
        supportedTaskTypes=["bash"],
        agentVersion="test",
    )


def test_repeated_registration_has_the_same_node_until_it_ends(lab: Lab) -> None:
    node = lab.node(lab.booted())
    nodes = lab.platform.nodes
    with lab.platform.locked():
        assert nodes.agent_registered(node.instance, registration(node.instance.id)) == node.id
        nodes.shut_down(node)
        with pytest.raises(Gone, match="ended this node"):
            nodes.agent_registered(node.instance, registration(node.instance.id))


def test_registration_is_refused_after_the_pools_shutdown(lab: Lab) -> None:
    pool = lab.pool()
    (instance,) = pool.requirement.instances.values()
    lab.do(lambda p: p.pools.shut_down(pool))
    with pytest.raises(Gone, match="no available worker pool"), lab.platform.locked():
        lab.platform.nodes.agent_registered(instance, registration(instance.id))


def test_repeated_shutdown_counts_a_draining_node_once(lab: Lab) -> None:
    pool = lab.booted(2)
    lab.tasks(lab.group(), "a", "b")
    node = lab.node(pool)
    for _ in range(2):
        lab.do(lambda p: p.nodes.shut_down(node))
    assert (pool.draining_nodes, pool.target, node.status) == (1, 1, NodeStatus.RUNNING)


def test_set_workers_removes_unclaimed_workers_only_newest_first(lab: Lab) -> None:
    node = lab.node(lab.booted(createNodeWorkers=NodeWorkerTarget(PER_NODE, 3)))
    lab.tasks(lab.group(maxWorkers=1), "a")
    (busy,) = [worker for worker in node.workers if worker.group is not None]
    lab.do(lambda p: p.nodes.set_workers(node, 2))
    assert [w.slot for w in node.workers if w.status is WorkerStatus.SHUTDOWN] == [3 if busy.slot != 3 else 2]
    lab.do(lambda p: p.nodes.set_workers(node, 0))
    assert [w for w in node.workers if w.status.available] == [busy]
    lab.do(lambda p: p.nodes.set_workers(node, 2))
    assert [w.slot for w in node.workers if w.status.available] == [busy.slot, 4]


def test_undetected_loss_ends_the_node_after_the_delay(make_lab: LabMaker) -> None:
    lab = make_lab(instance_death_noticed_seconds=5.0)
    pool = lab.booted()
    node, (task,) = lab.node(pool), lab.tasks(lab.group(), "a")
    lab.hosts.lose(node.instance.id)
    assert (node.status, pool.unnoticed) == (NodeStatus.RUNNING, 1)
    lab.do(lambda p: p.nodes.shut_down(node))
    assert node.status is NodeStatus.RUNNING
    lab.advance(5)
    assert (node.status, pool.unnoticed, pool.draining_nodes) == (NodeStatus.TERMINATED, 0, 0)
    assert task.status is TaskStatus.FAILED


def test_view_divides_a_nodes_workers_among_task_groups(lab: Lab) -> None:
    node = lab.node(lab.booted(createNodeWorkers=NodeWorkerTarget(PER_NODE, 4)))
    group = lab.group(maxWorkers=3)
    lab.tasks(group, "a", "b", "c")
    queues = lab.platform.nodes.view(node).taskGroupTaskQueues or {}
    assert {name: next(iter(vars(queue).values())) for name, queue in queues.items()} == {group.id: 0.75}
    node.workers.clear()
    assert lab.platform.nodes.view(node).taskGroupTaskQueues == {}
