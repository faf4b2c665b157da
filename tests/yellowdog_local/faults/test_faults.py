"""Effects of faults on machines, tasks, clouds and lists."""

from __future__ import annotations

import pytest
from yellowdog_client.model import (
    ComputeSourceStatus,
    NodeStatus,
    SimulatorComputeSource,
    TaskStatus,
)

from tests.simulation.lab import BOOT_SECONDS, Lab, LabMaker
from yellowdog_local import faults
from yellowdog_local.state.records import PoolRecord
from yellowdog_local.state.search import pool_healthy
from yellowdog_local.state.settings import Settings


def statuses(pool: PoolRecord) -> list[str]:
    return [instance.status.value for instance in pool.requirement.instances.values()]


# -- machines ---------------------------------------------------------------------------------------------------------


def test_never_boots_leaves_a_pending_instance_that_can_be_terminated(lab: Lab) -> None:
    with lab.platform.faults.during(faults.NeverBoots(pool="po*", nth=2)):
        pool = lab.pool(3, nodeBootTimeout=None)
        lab.advance(100)
    assert statuses(pool) == ["RUNNING", "PENDING", "RUNNING"]
    assert len(lab.hosts.instance_ids) == 2

    lab.advance(600)  # nodeBootTimeout
    assert statuses(pool) == ["RUNNING", "TERMINATED", "RUNNING"]
    lab.booted(2, "later")
    assert len(lab.hosts.instance_ids) == 4


def test_never_boots_does_not_apply_to_other_pools_and_sources(lab: Lab) -> None:
    lab.platform.faults.add(faults.NeverBoots(pool="other"))
    lab.platform.faults.add(faults.NeverBoots(source="other"))
    assert statuses(lab.booted(2)) == ["RUNNING", "RUNNING"]


def test_never_registers_leaves_an_instance_without_a_node(lab: Lab) -> None:
    with lab.platform.faults.during(faults.NeverRegisters(source="local", times=1)) as (rule_id,):
        pool = lab.booted(2)
        assert lab.platform.faults.applied(rule_id) == 1
    lab.advance(100)

    assert statuses(pool) == ["RUNNING", "RUNNING"]
    assert len(pool.nodes) == 1
    lab.advance(600)
    assert statuses(pool) == ["TERMINATED", "RUNNING"]


def test_lost_fails_the_task_without_notice(lab: Lab) -> None:
    lab.platform.faults.add(faults.Lost(after_seconds=5, times=1))
    pool = lab.booted(2)
    first, second = lab.tasks(lab.group(), "one", "two")
    lab.advance(4.9)
    assert lab.node(pool).status is NodeStatus.RUNNING
    lab.advance(0.1)

    assert [node.status for node in pool.nodes.values()] == [NodeStatus.TERMINATED, NodeStatus.RUNNING]
    assert lab.node(pool).entity.preemptionWarningTime is None
    assert (first.status, first.entity.errors[0].errorType) == (TaskStatus.FAILED, "ALLOCATION_LOST")
    assert second.status is TaskStatus.EXECUTING


def test_lost_applies_to_running_nodes_oldest_first(lab: Lab) -> None:
    pool = lab.booted(3)
    rule_id = lab.platform.faults.add(faults.Lost(nth=2))
    lab.advance()

    assert [node.status.value for node in pool.nodes.values()] == ["RUNNING", "TERMINATED", "RUNNING"]
    assert lab.platform.faults.state(rule_id).spent


@pytest.mark.parametrize(("asked", "seconds"), [(None, 120), (7.0, 7)])
def test_notice_warns_and_prevents_new_tasks(lab: Lab, asked: float | None, seconds: float) -> None:
    pool = lab.booted(2, minNodes=2)
    group = lab.group()
    (busy,) = lab.tasks(group, "busy")
    lab.platform.faults.add(faults.Lost(notice=True, notice_seconds=asked, times=1, after_seconds=1))
    lab.platform.faults.add(faults.Capacity())  # so that nothing new takes the tasks
    lab.advance(1)
    warned, other = pool.nodes.values()
    assert warned.entity.preemptionWarningTime == lab.clock.now()
    assert (warned.status, busy.status) == (NodeStatus.RUNNING, TaskStatus.EXECUTING)

    lab.do(lambda platform: platform.tasks.cancel(busy, abort=True))
    lab.advance()
    one, two = lab.tasks(group, "one", "two")
    lab.advance(seconds - 0.1)
    assert one.worker is not None
    assert one.worker.node is other
    assert (two.status, warned.status) == (TaskStatus.READY, NodeStatus.RUNNING)
    lab.advance(0.1)
    assert warned.status is NodeStatus.TERMINATED


def test_idle_node_gets_no_task_after_a_notice(lab: Lab) -> None:
    lab.booted()
    lab.platform.faults.add(faults.Lost(notice=True))
    lab.platform.faults.add(faults.Capacity())
    lab.advance()
    (task,) = lab.tasks(lab.group(), "one")
    assert task.status is TaskStatus.READY


def test_warned_node_gets_tasks_when_set_so(make_lab: LabMaker) -> None:
    lab = make_lab(tasks_after_preemption_warning=True, preemption_notice_seconds=10)
    pool = lab.booted()
    lab.platform.faults.add(faults.Lost(notice=True))
    lab.advance()
    (task,) = lab.tasks(lab.group(), "one")

    assert task.status is TaskStatus.EXECUTING
    lab.advance(10)
    assert lab.node(pool).status is NodeStatus.TERMINATED


def test_node_survives_when_the_rule_is_removed_in_time(lab: Lab) -> None:
    with lab.platform.faults.during(faults.Lost(after_seconds=5)):
        pool = lab.booted()
    lab.advance(10)
    assert lab.node(pool).status is NodeStatus.RUNNING


def test_task_exits_ends_the_task_at_once_and_it_is_retried(lab: Lab) -> None:
    lab.booted(2)
    with lab.platform.faults.during(faults.TaskExits(task="work-*", exit_code=137, times=2)):
        group = lab.group(maximumTaskRetries=1)
        struck, spared = lab.tasks(group, "work-1", "other")
        lab.advance()
        assert (struck.status, struck.entity.retryCount) == (TaskStatus.FAILED, 1)
        assert [error.processExitCode for error in struck.entity.errors] == [137, 137]
        assert spared.status is TaskStatus.EXECUTING
    lab.do(lambda platform: platform.tasks.cancel(spared, abort=True))
    (later,) = lab.tasks(group, "work-2")
    assert later.status is TaskStatus.EXECUTING


def test_task_exits_may_end_the_task_with_success(lab: Lab) -> None:
    lab.booted()
    lab.platform.faults.add(faults.TaskExits(exit_code=0))
    (task,) = lab.tasks(lab.group(), "one")
    assert task.status is TaskStatus.COMPLETED


def test_abort_lost_loses_one_abort_and_the_next_takes_effect(lab: Lab) -> None:
    lab.booted(2)
    group = lab.group()
    lost, taken = lab.tasks(group, "one", "two")
    lab.platform.faults.add(faults.AbortLost(task="one"))
    for task in (lost, taken):
        lab.do(lambda platform, task=task: platform.tasks.cancel(task, abort=True))
    lab.advance(100)

    assert (lost.status, lost.entity.abortRequestedTime is not None) == (TaskStatus.EXECUTING, True)
    assert taken.status is TaskStatus.ABORTED
    lab.platform.faults.clear()
    (after,) = lab.tasks(group, "after")
    lab.do(lambda platform: platform.tasks.cancel(after, abort=True))
    assert after.status is TaskStatus.ABORTED


# -- clouds -----------------------------------------------------------------------------------------------------------


def test_capacity_zero_is_reported_and_recovers(lab: Lab) -> None:
    rule_id = lab.platform.faults.add(faults.Capacity(source="local"))
    pool = lab.booted(2, minNodes=2)
    (source,) = pool.requirement.sources
    assert statuses(pool) == []
    assert source.entity.status is ComputeSourceStatus.ERRORED
    assert "InsufficientInstanceCapacity: We currently do not have" in source.entity.statusMessage
    assert "(0 of 2 instances granted)" in source.entity.statusMessage
    assert not pool_healthy(pool)

    lab.platform.faults.remove(rule_id)
    lab.advance(1 + BOOT_SECONDS + 1)  # the next autoscaling, and its hosts' boot
    assert statuses(pool) == ["RUNNING", "RUNNING"]
    assert (source.entity.status, source.entity.statusMessage) == (ComputeSourceStatus.ACTIVE, None)
    assert pool_healthy(pool)


def test_capacity_is_shared_by_all_requirements_and_can_change(lab: Lab) -> None:
    faulty = lab.platform.faults
    rule_id = faulty.add(faults.Capacity(source="local", limit=3, message="only {granted} of {asked}"))
    first, second = lab.pool(2, "one"), lab.pool(2, "two", minNodes=2)
    assert (len(statuses(first)), len(statuses(second))) == (2, 1)
    assert second.requirement.sources[0].entity.statusMessage == "only 1 of 2"

    faulty.add(faults.Capacity(source="local", limit=4))
    faulty.remove(rule_id)
    lab.advance(5)
    assert len(statuses(second)) == 2
    assert faulty.rules()[0].applied == 0  # 4 is enough


def test_waterfall_continues_with_the_next_source_without_capacity(lab: Lab) -> None:
    template = lab.template(
        SimulatorComputeSource(name="cheap"), SimulatorComputeSource(name="dear"), strategy="Waterfall"
    )
    lab.platform.faults.add(faults.Capacity(source="cheap", limit=1))
    pool = lab.pool(3, template=template)

    cheap, dear = pool.requirement.sources
    assert (cheap.alive, dear.alive) == (1, 2)
    assert (cheap.entity.status, dear.entity.status) == (ComputeSourceStatus.ERRORED, ComputeSourceStatus.ACTIVE)


# -- lists ------------------------------------------------------------------------------------------------------------


def test_listing_lag_hides_new_entities_only(lab: Lab) -> None:
    def listed(call: str = "/work/tasks") -> list[str]:
        with lab.platform.locked():
            records = lab.platform.lists.visible("GET", call, list(lab.platform.store.tasks.values()))
        return [record.entity.name or "" for record in records]

    group = lab.group()
    lab.tasks(group, "old")
    with lab.platform.faults.during(faults.ListingLag(call="GET /work/tasks", seconds=10)):
        lab.tasks(group, "first")
        lab.advance(5)
        lab.tasks(group, "second")
        assert (listed(), listed("/other")) == (["old"], ["old", "first", "second"])
        lab.advance(5)
        assert listed() == ["old", "first"]
        lab.advance(5)
        assert listed() == ["old", "first", "second"]
        lab.tasks(group, "third")
        assert "third" not in listed()
    assert listed() == ["old", "first", "second", "third"]


def test_preemption_follows_its_settings() -> None:
    assert (Settings().preemption_notice_seconds, Settings().tasks_after_preemption_warning) == (120.0, False)
