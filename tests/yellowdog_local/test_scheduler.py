from __future__ import annotations

import pytest
from yellowdog_client.model import (
    DoubleRange,
    InstancePricingPreference,
    NodeWorkerTarget,
    SimulatorComputeSource,
    TaskGroupStatus,
    TaskStatus,
)

from tests.simulation.lab import Lab, LabMaker, after


def names(count: int) -> list[str]:
    return [f"t{n}" for n in range(count)]


def test_pool_scales_up_to_the_need_of_waiting_tasks(lab: Lab) -> None:
    pool = lab.pool(0, maxNodes=10, createNodeWorkers=NodeWorkerTarget.per_node(2))
    tasks = lab.tasks(lab.group(), *names(5))
    lab.advance(1)
    assert pool.target == 3
    lab.advance(10)
    assert pool.target == 3
    assert all(task.status is TaskStatus.EXECUTING for task in tasks)


def test_pool_scales_up_to_its_maximum(lab: Lab) -> None:
    pool = lab.pool(1, maxNodes=2)
    tasks = lab.tasks(lab.group(), *names(5))
    lab.advance(10)
    assert pool.target == 2
    assert [task.status for task in tasks].count(TaskStatus.EXECUTING) == 2


def test_booting_nodes_count_before_scaling_up(lab: Lab) -> None:
    pool = lab.pool(3, maxNodes=10)
    lab.tasks(lab.group(), *names(3))
    lab.advance(10)
    assert pool.target == 3


def test_empty_pool_scales_up_for_new_tasks(lab: Lab) -> None:
    pool = lab.booted(1, idleNodeShutdown=after(0))
    group = lab.group()
    lab.ending(group, "a", 1)
    lab.advance(1)
    assert pool.active_nodes == 0
    (task,) = lab.tasks(group, "b")
    lab.advance(5)
    assert task.status is TaskStatus.EXECUTING


def test_only_a_pool_with_the_worker_tag_is_used(lab: Lab) -> None:
    wrong, right = lab.pool(0, "wrong", workerTag="cpu"), lab.pool(0, "right", workerTag="gpu")
    (task,) = lab.tasks(lab.group(workerTags=["gpu"]), "a")
    lab.advance(5)
    assert (wrong.target, right.target) == (0, 1)
    assert task.worker.node.pool is right


def test_group_is_starved_if_nodes_have_too_little_memory(lab: Lab) -> None:
    pool = lab.booted(1)
    (task,) = lab.tasks(lab.group(ram=DoubleRange(64.0, None)), "a")
    lab.advance(10)
    assert (task.status, pool.target) == (TaskStatus.READY, 1)


def test_higher_priority_is_allocated_first(lab: Lab) -> None:
    low, high = lab.group(name="low"), lab.group(name="high")
    high.work.entity.priority = 10
    (waits,), (runs,) = lab.tasks(low, "a"), lab.tasks(high, "a")
    lab.booted(1, maxNodes=1)
    assert (waits.status, runs.status) == (TaskStatus.READY, TaskStatus.EXECUTING)


def test_group_claims_at_most_its_maximum_of_workers(lab: Lab) -> None:
    pool = lab.booted(3)
    tasks = lab.tasks(lab.group(maxWorkers=2), *names(5))
    lab.advance(10)
    assert [task.status for task in tasks].count(TaskStatus.EXECUTING) == 2
    assert (pool.claimed, pool.target) == (2, 3)


def test_tasks_per_worker_limits_the_number_of_workers(lab: Lab) -> None:
    pool = lab.pool(0, maxNodes=10)
    lab.tasks(lab.group(tasksPerWorker=2), *names(5))
    lab.advance(10)
    assert pool.target == 3


def test_group_starts_only_with_its_minimum_of_workers(lab: Lab) -> None:
    lab.booted(1, maxNodes=3)
    group = lab.group(minWorkers=3)
    tasks = lab.tasks(group, *names(3))
    assert group.status is TaskGroupStatus.PENDING
    lab.advance(10)
    assert group.status is TaskGroupStatus.RUNNING
    assert all(task.status is TaskStatus.EXECUTING for task in tasks)


def test_missing_instances_are_provisioned_after_capacity_returns(lab: Lab) -> None:
    template = lab.template(SimulatorComputeSource(name="small", limit=1))
    pool = lab.pool(0, template=template, maxNodes=5, idleNodeShutdown=after(0))
    group = lab.group()
    lab.ending(group, "a", 5)
    (second,) = lab.tasks(group, "b")
    lab.advance(4)
    assert pool.active_nodes == 1
    lab.advance(10)
    assert second.status is TaskStatus.EXECUTING


def test_pool_drops_missing_instances_without_waiting_tasks(lab: Lab) -> None:
    template = lab.template(SimulatorComputeSource(name="none", failOnProvision=True))
    pool = lab.pool(0, template=template, maxNodes=5)
    (task,) = lab.tasks(lab.group(), "a")
    lab.advance(2)
    assert pool.target == 1
    lab.do(lambda p: p.tasks.cancel(task, abort=False))
    lab.advance(2)
    assert pool.target == 0


def test_idle_platform_has_no_timers(lab: Lab) -> None:
    lab.booted(1)
    lab.advance(600)
    assert lab.clock._heap == []


def test_execution_starts_after_the_set_allocation_latency(make_lab: LabMaker) -> None:
    lab = make_lab(allocation_latency_seconds=2)
    lab.booted(1)
    (task,) = lab.tasks(lab.group(), "a")
    assert task.status is TaskStatus.ALLOCATED
    lab.advance(2)
    assert task.status is TaskStatus.EXECUTING


def _priced(lab: Lab, *spots: bool, name: str) -> str:
    sources = []
    for number, spot in enumerate(spots):
        source = SimulatorComputeSource(name=f"{name}-{number}")
        source.spot = spot  # type: ignore[attr-defined]  as sources of real clouds have it
        sources.append(source)
    return lab.template(*sources, strategy="Single" if len(spots) == 1 else "Waterfall", name=name)


@pytest.mark.parametrize(
    ("preference", "grown"),
    [
        (InstancePricingPreference.SPOT_THEN_ON_DEMAND, ["spot", "mixed", "demand"]),
        (InstancePricingPreference.ON_DEMAND_THEN_SPOT, ["demand", "mixed", "spot"]),
        (InstancePricingPreference.SPOT_ONLY, ["spot"]),
        (InstancePricingPreference.ON_DEMAND_ONLY, ["demand"]),
    ],
)
def test_pricing_preference_orders_or_restricts_the_pools_that_scale_up(
    lab: Lab, preference: InstancePricingPreference, grown: list[str]
) -> None:
    templates = {
        "demand": _priced(lab, False, name="demand"),
        "mixed": _priced(lab, True, False, name="mixed"),
        "spot": _priced(lab, True, name="spot"),
    }
    pools = {name: lab.pool(0, name, template, maxNodes=1) for name, template in templates.items()}
    group = lab.group(instancePricingPreference=preference)
    order: list[str] = []
    for number in range(3):
        lab.tasks(group, f"t{number}")
        lab.advance(10)
        order += [name for name, pool in pools.items() if pool.target and name not in order]
    assert order == grown


@pytest.mark.parametrize(
    ("preference", "claimed"),
    [
        (InstancePricingPreference.SPOT_THEN_ON_DEMAND, [True, False]),
        (InstancePricingPreference.ON_DEMAND_THEN_SPOT, [False, True]),
    ],
)
def test_pricing_preference_orders_the_claimed_workers(
    lab: Lab, preference: InstancePricingPreference, claimed: list[bool]
) -> None:
    for spot, name in ((False, "demand"), (True, "spot")):
        lab.pool(1, name, _priced(lab, spot, name=name), maxNodes=1)
    lab.advance(10)
    tasks = lab.tasks(lab.group(instancePricingPreference=preference), "a", "b")
    assert [task.worker.node.entity.details.spot for task in tasks] == claimed
