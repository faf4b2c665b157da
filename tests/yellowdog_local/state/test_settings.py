"""Each setting that changes a behaviour, with both values, unless another file tests it."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from yellowdog_client.model import (
    CloudProvider,
    ComputeRequirementStatus,
    ComputeRequirementTemplateUsage,
    InstanceStatus,
    NodeStatus,
    ProvisionedWorkerPoolProperties,
    RetryPolicy,
    SimulatorComputeSource,
    TaskGroupStatus,
    TaskStatus,
    WorkerPoolStatus,
    WorkRequirementStatus,
)

from tests.simulation.lab import Lab, LabMaker, after
from yellowdog_local.compute.views import requirement_view
from yellowdog_local.errors import InvalidOperation, InvalidRequest

ON_OFF = pytest.mark.parametrize("on", [True, False])


def names(count: int) -> list[str]:
    return [f"t{n}" for n in range(count)]


# ---------------------------------------------------------------------------------------------------- autoscaling


@ON_OFF
def test_autoscaling_counts_booting_nodes_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(autoscale_counts_booting_nodes=on)
    slow = lab.template(SimulatorComputeSource(name="slow", instanceStartupTimeSeconds=60))
    pool = lab.pool(0, "slow", slow, maxNodes=6)
    lab.tasks(lab.group(), *names(2))
    lab.advance(30)
    assert pool.target == (2 if on else 6)


@ON_OFF
def test_autoscaling_shares_demand_among_matching_pools_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(autoscale_shares_demand=on)
    first, second = lab.pool(0, "first"), lab.pool(0, "second")
    lab.tasks(lab.group(), *names(3))
    lab.advance(1)
    assert (first.target, second.target) == ((3, 0) if on else (3, 3))


@ON_OFF
def test_shut_down_node_is_replaced_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(replace_shut_down_nodes=on)
    pool = lab.booted(1, maxNodes=1)
    lab.do(lambda p: p.pools.shut_down_node(lab.node(pool)))
    lab.do(lambda p: p.pools.shut_down_node(lab.node(pool)))
    (task,) = lab.tasks(lab.group(), "a")
    lab.advance(10)
    assert task.status is (TaskStatus.EXECUTING if on else TaskStatus.READY)


@ON_OFF
def test_idle_timeout_of_zero_spares_unused_nodes_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(zero_idle_timeout_spares_unused=on)
    node = lab.booted(1, "node", idleNodeShutdown=after(0))
    pool = lab.booted(1, "pool", idlePoolShutdown=after(0))
    assert node.active_nodes == (1 if on else 0)
    assert pool.status is (WorkerPoolStatus.IDLE if on else WorkerPoolStatus.TERMINATED)


def test_omitted_max_nodes_has_the_default_of_the_setting(make_lab: LabMaker) -> None:
    assert make_lab().pool(2, maxNodes=None).max_nodes == 2
    assert make_lab(default_max_nodes=7).pool(2, maxNodes=None).max_nodes == 7


def test_max_nodes_above_the_limit_is_refused(make_lab: LabMaker) -> None:
    assert make_lab().pool(0, maxNodes=100_000).max_nodes == 100_000
    with pytest.raises(InvalidRequest, match="maxNodes must not be more than 10000"):
        make_lab(max_nodes_limit=10_000).pool(0, maxNodes=10_001)


# ---------------------------------------------------------------------------------------------------------- tasks


@ON_OFF
def test_failing_group_aborts_executing_tasks_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(group_failure_aborts_executing_tasks=on)
    lab.booted(2)
    group = lab.group()
    group.entity.finishIfAnyTaskFailed = True
    executing = lab.ending(group, "long", 60)
    lab.ending(group, "bad", 1, exit_code=1)
    lab.advance(1)
    assert executing.status is (TaskStatus.ABORTED if on else TaskStatus.EXECUTING)
    assert group.status is (TaskGroupStatus.FAILED if on else TaskGroupStatus.FAILING)
    lab.advance(60)
    assert group.status is TaskGroupStatus.FAILED


@ON_OFF
def test_hold_returns_allocated_tasks_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(hold_returns_allocated_tasks=on, allocation_latency_seconds=5)
    pool = lab.booted(1, maxNodes=1)
    group = lab.group()
    (task,) = lab.tasks(group, "a")
    lab.do(lambda p: p.work.transition(group.work, WorkRequirementStatus.HELD, abort=False))
    assert task.status is (TaskStatus.READY if on else TaskStatus.ALLOCATED)
    assert (pool.claimed, task.entity.nodeId is None) == ((0, True) if on else (1, False))
    lab.advance(10)
    assert task.status is (TaskStatus.READY if on else TaskStatus.EXECUTING)


@ON_OFF
def test_cancel_without_abort_is_refused_for_executing_task_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(refuse_cancelling_executing_tasks=on)
    lab.booted()
    (task,) = lab.tasks(lab.group(), "a")
    if on:
        with pytest.raises(InvalidOperation, match="it is EXECUTING"):
            lab.do(lambda p: p.tasks.cancel_by_user(task, abort=False))
    else:
        lab.do(lambda p: p.tasks.cancel_by_user(task, abort=False))
    assert (task.status, task.entity.abortRequestedTime) == (TaskStatus.EXECUTING, None)
    lab.do(lambda p: p.tasks.cancel_by_user(task, abort=True))
    assert task.status is TaskStatus.ABORTED


@ON_OFF
def test_task_timeout_kills_at_once_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(timeout_kills_at_once=on)
    lab.booted()
    slow = {"SIM_ABORT_SECONDS": "20"}
    (task,) = lab.tasks(lab.group(), "a", timeout=timedelta(seconds=5), environment=slow)
    lab.advance(5)
    assert task.status is (TaskStatus.FAILED if on else TaskStatus.EXECUTING)
    lab.advance(20)
    (error,) = task.entity.errors
    assert (error.errorType, error.processExitCode) == ("TIMED_OUT", 137 if on else 143)


@ON_OFF
def test_retry_runs_on_the_same_worker_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(retry_on_same_worker=on)
    lab.booted(1, maxNodes=2)
    task = lab.ending(lab.group(retryPolicy=RetryPolicy(1)), "a", 1, exit_code=1)
    first = task.worker
    lab.advance(1)
    assert task.status is (TaskStatus.EXECUTING if on else TaskStatus.READY)
    lab.advance(3 if not on else 0)
    assert task.status is TaskStatus.EXECUTING
    assert (task.worker is first) is on


@pytest.mark.parametrize(
    ("setting", "limit", "fields"),
    [
        ("max_task_data_bytes", 5, {"taskData": "äöü"}),
        ("max_environment_bytes", 5, {"environment": {"ABC": "def"}}),
        ("max_arguments_bytes", 5, {"arguments": ["abc", "def"]}),
    ],
)
def test_task_content_above_a_limit_is_refused(
    make_lab: LabMaker, setting: str, limit: int, fields: dict[str, Any]
) -> None:
    lab = make_lab()
    lab.tasks(lab.group(), "a", **fields)
    lab = make_lab(**{setting: limit + 1})
    lab.tasks(lab.group(), "a", **fields)
    lab = make_lab(**{setting: limit})
    group = lab.group()
    with pytest.raises(InvalidRequest, match="must not be more than 5 bytes, and is 6"):
        lab.tasks(group, "a", **fields)
    assert group.tasks == {}


@pytest.mark.parametrize("limit", [None, 4])
def test_user_data_above_the_limit_is_refused(make_lab: LabMaker, limit: int | None) -> None:
    lab = make_lab(max_user_data_bytes=limit)
    usage = ComputeRequirementTemplateUsage("demo/local", "pool", "demo", targetInstanceCount=0, userData="12345")
    if limit is None:
        lab.do(lambda p: p.compute.provision(usage))
        return
    with pytest.raises(InvalidRequest, match="userData must not be more than 4 bytes"):
        lab.do(lambda p: p.compute.provision(usage))
    assert not lab.platform.store.requirements


# ---------------------------------------------------------------------------------------------- work requirements


@ON_OFF
def test_update_changes_task_types_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(task_types_immutable=on)
    work = lab.work()
    sent = deepcopy(lab.platform.work.view(work))
    sent.taskGroups[0].runSpecification.taskTypes = ["docker"]
    if on:
        with pytest.raises(InvalidRequest, match="taskTypes cannot be changed"):
            lab.do(lambda p: p.work.update(sent))
    else:
        lab.do(lambda p: p.work.update(sent))
    assert work.groups[0].spec.taskTypes == (["bash"] if on else ["docker"])


@ON_OFF
def test_update_keeps_omitted_task_groups_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(refuse_omitted_task_groups=on)
    work = lab.work("work", lab.group_spec("first"), lab.group_spec("second"))
    sent = deepcopy(lab.platform.work.view(work))
    sent.taskGroups = [sent.taskGroups[1], lab.group_spec("third")]
    if on:
        with pytest.raises(InvalidRequest, match="cannot be removed: first"):
            lab.do(lambda p: p.work.update(sent))
        assert [group.entity.name for group in work.groups] == ["first", "second"]
    else:
        lab.do(lambda p: p.work.update(sent))
        assert [group.entity.name for group in work.groups] == ["second", "third", "first"]
        lab.tasks(work.groups[2], "still-there")


# -------------------------------------------------------------------------------------------- machines and counts


def test_end_of_an_instance_is_detected_after_the_set_delay(make_lab: LabMaker) -> None:
    lab = make_lab(instance_death_noticed_seconds=30)
    pool = lab.booted(1, maxNodes=1)
    group = lab.group(retryPolicy=RetryPolicy(1))
    (task,) = lab.tasks(group, "a")
    node = lab.node(pool)
    lab.hosts.lose(node.instance.id)
    lab.advance(29)
    assert node.instance.status is InstanceStatus.TERMINATED
    assert (node.status, task.status, pool.target) == (NodeStatus.RUNNING, TaskStatus.EXECUTING, 1)
    assert len(pool.requirement.instances) == 1  # no other instance is requested before
    lab.advance(1)
    assert (node.status, task.status) == (NodeStatus.TERMINATED, TaskStatus.READY)
    assert task.entity.errors[0].errorType == "ALLOCATION_LOST"
    lab.advance(4)
    assert (task.status, pool.unnoticed, pool.requirement.alive) == (TaskStatus.EXECUTING, 0, 1)


def test_pool_ends_after_a_delayed_detection(make_lab: LabMaker) -> None:
    lab = make_lab(instance_death_noticed_seconds=30)
    pool = lab.booted(2)
    lab.tasks(lab.group(), "a")
    lab.do(lambda p: p.compute.terminate(pool.requirement))
    assert pool.status is WorkerPoolStatus.SHUTDOWN
    lab.advance(30)
    assert (pool.status, pool.active_nodes, pool.unnoticed) == (WorkerPoolStatus.TERMINATED, 0, 0)


def test_ended_records_are_removed_after_retention(make_lab: LabMaker) -> None:
    lab = make_lab(retention_seconds=100)
    store = lab.platform.store
    pool = lab.booted(2, workerTag="mine")
    group = lab.group()
    done = lab.ending(group, "done", 1)
    lab.advance(1)
    lab.do(lambda p: p.nodes.shut_down(lab.node(pool)))
    lab.advance(99)
    assert (len(pool.nodes), len(store.instances), done.id in store.tasks) == (2, 2, True)
    lab.advance(1)
    assert (len(pool.nodes), len(store.instances), len(store.workers), done.id in store.tasks) == (1, 1, 1, False)
    view = lab.platform.pools.view(pool)
    assert view.nodeSummary.statusCounts == {NodeStatus.RUNNING: 1}
    (source,) = requirement_view(pool.requirement).provisionStrategy.sources
    summary = source.instanceSummary
    assert (summary.expiredCount, summary.totalCount, summary.aliveCount) == (1, 2, 1)
    assert group.counts[TaskStatus.COMPLETED] == 1
    lab.do(lambda p: p.pools.shut_down(pool))
    lab.advance(100)
    assert (store.pools, store.pools_by_name, store.nodes, store.instances) == ({}, {}, {}, {})


def test_lost_node_is_kept_until_its_instance_has_ended(make_lab: LabMaker) -> None:
    lab = make_lab(retention_seconds=10, lost_node_terminates_instance=False)
    pool = lab.booted(1)
    node = lab.node(pool)
    lab.hosts.unplug(node.instance.id)
    lab.advance(120)
    assert list(pool.nodes.values()) == [node]
    lab.do(lambda p: p.pools.shut_down(pool))
    lab.advance(20)
    assert (pool.nodes, pool.stranded, pool.requirement.alive) == ({}, 0, 0)


@ON_OFF
def test_removed_tasks_are_counted_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(count_expired_tasks=on)
    lab.booted()
    group = lab.group()
    group.entity.completedTaskTtl = timedelta(seconds=10)
    lab.ending(group, "a", 1)
    lab.advance(11)
    summary = lab.platform.work.view(group.work).taskGroups[0].taskSummary
    assert (summary.taskCount, summary.statusCounts) == ((1, {TaskStatus.COMPLETED: 1}) if on else (0, {}))


@ON_OFF
def test_working_worker_count_starts_at_the_claim_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(allocated_workers_are_working=on, allocation_latency_seconds=5)
    pool = lab.booted(1)
    lab.tasks(lab.group(), "a")
    before = lab.platform.pools.summary(pool)
    lab.advance(5)
    started = lab.platform.pools.summary(pool)
    assert (before.claimedWorkerCount, before.workingWorkerCount) == (1, 1 if on else 0)
    assert (started.claimedWorkerCount, started.workingWorkerCount) == (1, 1)


@ON_OFF
def test_template_name_is_accepted_if_set(make_lab: LabMaker, on: bool) -> None:
    lab = make_lab(accept_template_names=on)
    usage = ComputeRequirementTemplateUsage("demo/local", "by-name", "demo", targetInstanceCount=0)
    if on:
        lab.do(lambda p: p.compute.provision(usage))
    else:
        with pytest.raises(InvalidRequest, match="must be an id, not the name 'demo/local'"):
            lab.do(lambda p: p.compute.provision(usage))
    usage.templateId, usage.requirementName = next(iter(lab.platform.store.requirement_templates)), "by-id"
    lab.do(lambda p: p.compute.provision(usage))
    assert len(lab.platform.store.requirements) == (2 if on else 1)


def test_instance_ids_and_simulator_provider_follow_the_settings(make_lab: LabMaker) -> None:
    seen = []
    for lab in (make_lab(), make_lab(instance_id_prefix="i-0", simulator_provider=CloudProvider.AWS)):
        node = lab.node(lab.booted(1))
        seen.append((node.instance.id, node.entity.details.provider, node.instance.entity.provider))
    assert seen == [("i-sim-1", None, None), ("i-01", CloudProvider.AWS, CloudProvider.AWS)]


# ---------------------------------------------------------------------------- a lost node with a surviving instance


def test_surviving_instance_of_a_lost_node_does_not_count_towards_the_target(make_lab: LabMaker) -> None:
    lab = make_lab(lost_node_terminates_instance=False)
    pool = lab.booted(1, maxNodes=1)
    (task,) = lab.tasks(lab.group(retryPolicy=RetryPolicy(1)), "a")
    lost = lab.node(pool)
    lab.hosts.unplug(lost.instance.id)
    lab.advance(60)
    assert (lost.status, lost.instance.status) == (NodeStatus.LOST, InstanceStatus.RUNNING)
    lab.advance(4)
    assert (task.status, pool.active_nodes, pool.target) == (TaskStatus.EXECUTING, 1, 1)
    assert pool.requirement.entity.targetInstanceCount == pool.requirement.alive == 2
    assert pool.requirement.entity.status is ComputeRequirementStatus.RUNNING
    lab.hosts.lose(lost.instance.id)
    assert pool.requirement.entity.targetInstanceCount == pool.requirement.alive == 1
    assert Counter(node.status for node in pool.nodes.values()) == {NodeStatus.LOST: 1, NodeStatus.RUNNING: 1}


def test_instance_of_a_lost_node_is_replaced_by_default(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    (task,) = lab.tasks(lab.group(retryPolicy=RetryPolicy(1)), "a")
    lab.hosts.unplug(lab.node(pool).instance.id)
    lab.advance(64)
    assert task.status is TaskStatus.EXECUTING
    assert pool.requirement.entity.targetInstanceCount == pool.requirement.alive == 1


def test_omitted_pool_properties_follow_the_settings(make_lab: LabMaker) -> None:
    lab = make_lab(
        default_node_boot_timeout_seconds=7,
        default_idle_node_shutdown=True,
        default_idle_pool_shutdown=True,
        default_workers_per_node=3,
        default_min_nodes=1,
    )
    usage = ComputeRequirementTemplateUsage("demo/local", "pool", "demo", targetInstanceCount=1)
    with lab.platform.locked():
        pool = lab.platform.pools.provision(usage, ProvisionedWorkerPoolProperties())
    assert (pool.boot_timeout, pool.min_nodes, lab.platform.pools.workers_per_node(pool)) == (7, 1, 3)
    assert (pool.idle_node_seconds, pool.idle_pool_seconds) == (0, 0)
