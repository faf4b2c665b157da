from __future__ import annotations

from datetime import timedelta

import pytest
from yellowdog_client.model import (
    ComputeRequirementStatus,
    InstanceStatus,
    NodeStatus,
    NodeWorkerTarget,
    TaskStatus,
    WorkerPoolStatus,
)

from tests.simulation.lab import Lab, LabMaker, after
from yellowdog_local.errors import AlreadyExists, InvalidRequest
from yellowdog_local.platform import LocalPlatform


def test_pool_is_pending_until_its_first_node_registers(lab: Lab) -> None:
    pool = lab.pool(2)
    assert pool.status is WorkerPoolStatus.PENDING
    assert lab.platform.pools.view(pool).awaitingNodes
    assert pool.requirement.entity.status is ComputeRequirementStatus.PROVISIONING
    lab.advance(2)
    view = lab.platform.pools.view(pool)
    assert (pool.status, view.awaitingNodes, view.expectedNodeCount) == (WorkerPoolStatus.IDLE, False, 2)
    assert view.nodeSummary.statusCounts == {NodeStatus.RUNNING: 2}
    assert pool.requirement.entity.status is ComputeRequirementStatus.RUNNING


def test_idle_timeouts_of_zero_spare_unused_nodes_and_pools(lab: Lab) -> None:
    pool = lab.booted(1, idleNodeShutdown=after(0), idlePoolShutdown=after(0))
    lab.advance(3600)
    assert (pool.active_nodes, pool.status) == (1, WorkerPoolStatus.IDLE)


def test_unused_node_is_shut_down_after_its_idle_timeout(lab: Lab) -> None:
    pool = lab.booted(1, idleNodeShutdown=after(20))
    lab.advance(21)
    assert pool.active_nodes == 0


def test_unused_pool_is_shut_down_after_its_idle_timeout(lab: Lab) -> None:
    pool = lab.booted(1, idlePoolShutdown=after(60))
    lab.advance(61)
    assert pool.status is WorkerPoolStatus.TERMINATED


def test_idle_node_is_shut_down_at_once_with_a_timeout_of_zero(lab: Lab) -> None:
    pool = lab.booted(1, idleNodeShutdown=after(0))
    lab.ending(lab.group(), "a", 1)
    lab.advance(1)
    assert pool.active_nodes == 0
    assert pool.status is WorkerPoolStatus.EMPTY
    assert lab.node(pool).instance.status is InstanceStatus.TERMINATED
    assert lab.hosts.instance_ids == []


def test_idle_timeout_restarts_after_each_task(lab: Lab) -> None:
    pool = lab.booted(1, idleNodeShutdown=after(10))
    group = lab.group()
    lab.ending(group, "a", 1)
    lab.advance(10)
    lab.ending(group, "b", 1)
    lab.advance(10)
    assert pool.active_nodes == 1
    lab.advance(1)
    assert pool.active_nodes == 0


def test_idle_nodes_are_shut_down_to_the_minimum(lab: Lab) -> None:
    pool = lab.booted(2, minNodes=1, idleNodeShutdown=after(0))
    group = lab.group()
    lab.ending(group, "a", 1)
    lab.ending(group, "b", 1)
    lab.advance(100)
    assert pool.active_nodes == 1


def test_node_with_one_busy_worker_is_not_idle(lab: Lab) -> None:
    pool = lab.booted(1, idleNodeShutdown=after(0), createNodeWorkers=NodeWorkerTarget.per_node(2))
    group = lab.group()
    lab.ending(group, "short", 1)
    lab.ending(group, "long", 5)
    lab.advance(4)
    assert pool.active_nodes == 1
    lab.advance(1)
    assert pool.active_nodes == 0


def test_workers_per_vcpu_follow_the_reported_vcpus(lab: Lab) -> None:
    pool = lab.booted(1, createNodeWorkers=NodeWorkerTarget.per_vcpus(1.5))
    assert len(lab.node(pool).workers) == 3


def test_idle_pool_is_terminated_after_its_timeout(lab: Lab) -> None:
    pool = lab.booted(1, idlePoolShutdown=after(30))
    lab.ending(lab.group(), "a", 1)
    lab.advance(30)
    assert pool.status is WorkerPoolStatus.IDLE
    lab.advance(1)
    assert pool.status is WorkerPoolStatus.TERMINATED
    assert pool.requirement.entity.status is ComputeRequirementStatus.TERMINATED


def test_pool_shutdown_waits_for_executing_tasks(lab: Lab) -> None:
    pool = lab.booted(2)
    task = lab.ending(lab.group(), "a", 10)
    lab.do(lambda p: p.pools.shut_down(pool))
    lab.do(lambda p: p.pools.shut_down(pool))
    assert (pool.status, pool.active_nodes) == (WorkerPoolStatus.SHUTDOWN, 1)
    lab.advance(10)
    assert (task.status, pool.status) == (TaskStatus.COMPLETED, WorkerPoolStatus.TERMINATED)
    assert lab.hosts.instance_ids == []


def test_pool_shutdown_terminates_booting_hosts(lab: Lab) -> None:
    pool = lab.pool(3)
    lab.do(lambda p: p.pools.shut_down(pool))
    assert pool.status is WorkerPoolStatus.TERMINATED
    assert lab.hosts.instance_ids == []


def test_pool_shutdown_keeps_waiting_tasks_by_default(make_lab: LabMaker) -> None:
    for cancels, status in ((False, TaskStatus.READY), (True, TaskStatus.CANCELLED)):
        lab = make_lab(cancel_waiting_tasks_at_pool_shutdown=cancels)
        pool = lab.booted(1, maxNodes=1)
        _, waiting = lab.tasks(lab.group(), "a", "b")
        lab.do(lambda p, pool=pool: p.pools.shut_down(pool))
        assert waiting.status is status


def test_termination_of_the_requirement_loses_tasks_at_once(lab: Lab) -> None:
    pool = lab.booted(1)
    (task,) = lab.tasks(lab.group(), "a")
    lab.do(lambda p: p.compute.terminate(pool.requirement))
    lab.do(lambda p: p.compute.terminate(pool.requirement))
    assert task.status is TaskStatus.FAILED
    assert task.entity.errors[0].errorType == "ALLOCATION_LOST"
    assert (pool.status, lab.node(pool).status) == (WorkerPoolStatus.TERMINATED, NodeStatus.TERMINATED)


def test_host_is_terminated_if_not_registered_within_the_boot_timeout(lab: Lab) -> None:
    pool = lab.pool(1, nodeBootTimeout=timedelta(seconds=60))
    lab.hosts.unplug(lab.hosts.instance_ids[0])
    lab.advance(59)
    assert pool.requirement.alive == 1
    lab.advance(1)
    assert (pool.requirement.alive, pool.target) == (0, 0)


def test_node_shutdown_waits_for_its_task_and_accepts_no_other(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    group = lab.group()
    lab.ending(group, "a", 5)
    node = lab.node(pool)
    lab.do(lambda p: p.nodes.shut_down(node))
    (second,) = lab.tasks(group, "b")
    lab.advance(4)
    assert node.status is NodeStatus.RUNNING
    lab.advance(1)
    assert node.status is NodeStatus.TERMINATED
    assert second.status is TaskStatus.READY
    lab.advance(10)
    assert second.status is TaskStatus.EXECUTING
    assert second.worker.node is not node


def test_pool_name_is_reusable_only_after_its_end(lab: Lab) -> None:
    first = lab.pool(1, "same")
    with pytest.raises(AlreadyExists, match="already exists"):
        lab.pool(1, "same")
    lab.do(lambda p: p.pools.shut_down(first))
    assert lab.pool(1, "same").id != first.id


def test_omitted_properties_have_the_defaults(lab: Lab) -> None:
    properties = lab.pool(3, maxNodes=None).properties
    assert (properties.minNodes, properties.maxNodes) == (0, 3)
    assert properties.nodeBootTimeout == timedelta(minutes=10)
    assert not properties.idleNodeShutdown.enabled


def test_target_outside_the_bounds_is_refused(lab: Lab) -> None:
    with pytest.raises(InvalidRequest):
        lab.pool(3, maxNodes=2)


def test_ended_requirement_is_not_filled_again(lab: Lab) -> None:
    pool = lab.booted(1)
    requirement = pool.requirement

    def end_and_ask_for_more(platform: LocalPlatform) -> None:
        platform.compute.terminate(requirement)
        platform.pools.grow(pool, 2)  # before a pass has detected that its pool ends with it

    lab.do(end_and_ask_for_more)
    assert (requirement.alive, len(requirement.instances)) == (0, 1)
    assert requirement.entity.status is ComputeRequirementStatus.TERMINATED


@pytest.mark.parametrize("what", ["pool", "node"])
def test_no_task_is_allocated_to_a_pool_or_node_that_shuts_down(lab: Lab, what: str) -> None:
    pool = lab.booted(1, maxNodes=1, createNodeWorkers=NodeWorkerTarget.per_node(2))
    group = lab.group()
    lab.ending(group, "busy", 10)
    lab.do(lambda p: p.pools.shut_down(pool) if what == "pool" else p.nodes.shut_down(lab.node(pool)))
    (waits,) = lab.tasks(group, "waits")
    assert (waits.status, pool.free) == (TaskStatus.READY, {})
