"""Faults: to which matches a rule applies, and its effects on machines, tasks, clouds and lists."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from yellowdog_client.model import (
    ComputeSourceStatus,
    NodeStatus,
    SimulatorComputeSource,
    TaskStatus,
    WorkerPoolStatus,
)

from tests.simulation.lab import BOOT_SECONDS, Lab, LabMaker
from yellowdog_local import faults
from yellowdog_local.call_patterns import CallPattern
from yellowdog_local.cli import fault_kinds
from yellowdog_local.errors import NotFound
from yellowdog_local.faults import rules
from yellowdog_local.state.records import PoolRecord
from yellowdog_local.state.search import pool_healthy
from yellowdog_local.state.settings import Settings


def statuses(pool: PoolRecord) -> list[str]:
    return [instance.status.value for instance in pool.requirement.instances.values()]


# -- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "call", "meant"),
    [
        ("*", "GET /work/tasks", True),
        ("GET *", "POST /work/tasks", False),
        ("/work/tasks", "POST /work/tasks", True),
        ("get /work/tasks/", "GET /work/tasks", True),
        ("GET /work/tasks", "GET /work/tasks/", True),
        ("GET /work/tasks", "GET /work/tasks/ydid:task:1", False),
        ("GET /work/tasks/*", "GET /work/tasks/ydid:task:1", True),
        ("GET /work/tasks/{id}", "GET /work/tasks/ydid:task:1", True),
        ("GET /work/*", "GET /work/tasks/ydid:task:1", False),
        ("GET /work/**", "GET /work/tasks/ydid:task:1", True),
        ("PUT /work/tasks/ydid:task:*", "PUT /work/tasks/ydid:task:1", True),
        ("GET /work/tasks.", "GET /work/tasksx", False),
        ("*", "GET /agent/nodes/1/commands", False),
        ("GET /**", "GET /admin/faults", False),
        ("GET /agent/**", "GET /agent/nodes/1/commands", True),
    ],
)
def test_pattern_matches_calls_by_path_or_route(text: str, call: str, meant: bool) -> None:
    method, path = call.split()
    assert CallPattern(text).matches(method, path, "/work/tasks/{id}" if "ydid" in path else "-") is meant


@pytest.mark.parametrize("text", ["", "work/tasks", "FETCH /work", "GET work"])
def test_pattern_is_refused_with_an_example_when_malformed(text: str) -> None:
    with pytest.raises(faults.InvalidRule, match="is not a pattern of calls: give a method and a path, such as"):
        faults.parse({"kind": "hang", "call": text})


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"kind": "fire"}, "kind must be one of status, apply-then-fail, hang"),
        ([], "kind must be one of"),
        ({"kind": "hang", "status": 4}, "'hang' has no status; it takes nth, times, probability, seed, call, applied"),
        ({"kind": "delay"}, "seconds: Field required"),
        ({"kind": "status", "status": 200}, "status: Input should be greater than or equal to 400"),
        (
            {"kind": "capacity", "message": "{oops}"},
            "message may use {instance_type}, {region}, {granted} and {asked} only",
        ),
        ({"kind": "hang", "probability": 0}, "probability: Input should be greater than 0"),
    ],
)
def test_rule_is_refused_with_one_sentence_when_invalid(rule: Any, says: str) -> None:
    with pytest.raises(faults.InvalidRule, match=says):
        faults.parse(rule)


def test_every_kind_has_a_description() -> None:
    said = {kind: (model.__doc__ or "").splitlines()[0] for kind, model in rules.KINDS.items()}
    assert said == fault_kinds.KINDS


def applied(registry: faults.Faults, calls: int) -> str:
    hits = (registry.apply_to_call("GET", "/x", "-") for _ in range(calls))
    return "".join("x" if hit else "." for hit in hits)


@pytest.mark.parametrize(
    ("how", "hit"),
    [
        ({}, "xxxxxx"),
        ({"times": 2}, "xx...."),
        ({"nth": 3}, "..x..."),
        ({"nth": 3, "times": 2}, "..xx.."),
        ({"probability": 1.0, "times": 1}, "x....."),
    ],
)
def test_rule_applies_to_the_chosen_calls(how: dict[str, Any], hit: str) -> None:
    registry = faults.Faults()
    rule_id = registry.add(faults.Hang(call="GET /x", **how))

    assert applied(registry, 6) == hit
    state = registry.state(rule_id)
    assert (state.matched, state.applied, state.spent) == (6, hit.count("x"), bool(how))


def test_rule_applies_to_the_same_calls_with_the_same_seed() -> None:
    def drawn(seed: int) -> str:
        registry = faults.Faults()
        registry.add(faults.Hang(probability=0.5, seed=seed))
        return applied(registry, 40)

    assert drawn(1) == drawn(1) != drawn(2)
    assert 8 < drawn(1).count("x") < 32


def test_first_of_two_rules_applies_until_it_is_spent() -> None:
    registry = faults.Faults()
    first = registry.add(faults.Hang(times=2))
    second = registry.add(faults.Cut(nth=2))

    hits = [registry.apply_to_call("GET", "/x", "-") for _ in range(4)]
    assert [hit.id if hit else None for hit in hits] == [first, first, second, None]


def test_rule_does_not_apply_after_removal() -> None:
    registry = faults.Faults()
    rule_id = registry.add(faults.Hang())
    assert applied(registry, 1) == "x"
    registry.remove(rule_id)

    assert applied(registry, 1) == "."
    assert registry.rules() == []
    with pytest.raises(NotFound):
        registry.remove(rule_id)
    with registry.during(faults.Hang(), faults.Cut()) as made:
        assert len(registry.rules()) == 2
        registry.remove(made[0])
    assert registry.rules() == []
    assert not registry.has_call_rules


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


# -- the whole platform -----------------------------------------------------------------------------------------------


def test_reset_deletes_all_state(lab: Lab) -> None:
    platform = lab.platform
    fresh = set(platform.store.namespaces), len(platform.store.requirement_templates)
    pool = lab.booted(2, "pool", minNodes=1)
    lab.pool(1, "never")
    lab.tasks(lab.group(), "one", "two", "three")
    platform.faults.add(faults.NeverBoots())
    key = platform.api_key
    platform.reset()

    assert lab.hosts.instance_ids == []
    assert pool.status is not WorkerPoolStatus.PENDING
    assert not any(instance.status.alive for instance in pool.requirement.instances.values())
    store = platform.store
    for held in (store.works, store.tasks, store.pools, store.nodes, store.requirements, store.instances):
        assert not held
    assert (set(store.namespaces), len(store.requirement_templates)) == fresh
    assert (platform.faults.rules(), platform.api_key) == ([], key)
    lab.advance(10_000)  # timers of the past do nothing
    assert lab.hosts.instance_ids == []

    again = lab.booted(2, "pool")
    (task,) = lab.tasks(lab.group(), "one")
    assert (len(again.nodes), task.status) == (2, TaskStatus.EXECUTING)


def test_reset_cancels_timers(lab: Lab) -> None:
    happened: list[str] = []
    kernel = lab.platform._kernel
    kernel.after(5, lambda: happened.append("before"))
    lab.platform.reset()
    kernel.after(5, lambda: happened.append("after"))
    lab.advance(10)
    assert happened == ["after"]


def test_reset_during_provisioning_leaves_no_host(lab: Lab) -> None:
    """A call in progress may still create hosts during a reset: they are terminated too."""
    stop = threading.Event()

    def provision() -> None:
        for number in range(20):
            if not stop.is_set():
                lab.pool(1, f"pool-{number}")

    thread = threading.Thread(target=provision)
    thread.start()
    lab.platform.reset()
    stop.set()
    thread.join()
    lab.platform.reset()
    assert lab.hosts.instance_ids == []


def test_preemption_follows_its_settings() -> None:
    assert (Settings().preemption_notice_seconds, Settings().tasks_after_preemption_warning) == (120.0, False)
