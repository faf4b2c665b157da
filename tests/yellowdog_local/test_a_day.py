"""A day of a cluster on a stepped clock: its events, and no timer without an event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from yellowdog_client.model import (
    InstanceStatus,
    NodeStatus,
    RetryPolicy,
    SimulatorComputeSource,
    TaskStatus,
    WorkerPoolStatus,
    WorkRequirementStatus,
)

from tests.simulation.lab import Lab, after
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.clock import SteppedClock, Timer
from yellowdog_local.state.records import NodeRecord
from yellowdog_local.state.settings import Settings

MINUTE, HOUR = 60, 3600
PER_WAVE = 40


class CountingClock(SteppedClock):
    """Counts the timers that are set."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0

    def call_later(self, delay_seconds: float, call: Callable[[], None]) -> Timer:
        self.readings += 1
        return super().call_later(delay_seconds, call)


def test_day_of_a_cluster_ends_with_all_tasks_completed(lab: Lab) -> None:
    head_pool = lab.pool(1, "head", maxNodes=1, workerTag="head", idlePoolShutdown=after(30 * MINUTE))
    template = lab.template(SimulatorComputeSource(name="many", instanceStartupTimeSeconds=30))
    pool = lab.pool(0, "workers", template, maxNodes=PER_WAVE, workerTag="workers", idleNodeShutdown=after(5 * MINUTE))
    specs = (
        lab.group_spec("head", workerTags=["head"]),
        lab.group_spec("workers", workerTags=["workers"], retryPolicy=RetryPolicy(2)),
    )
    work = lab.work("cluster", *specs)
    head_group, group = work.groups
    head = lab.ending(head_group, "head", 24 * HOUR)
    sizes, tasks = [], []
    for hour in range(24):
        for number in range(PER_WAVE):
            tasks.append(lab.ending(group, f"w{hour}-{number}", (5 + number) * MINUTE / 2))
        lab.advance(5 * MINUTE)
        sizes.append(pool.active_nodes)
        if hour % 6 == 0:  # a host loses its network: late, lost, and its task is retried elsewhere
            lab.hosts.unplug(next(n for n in pool.nodes.values() if _busy(n)).instance.id)
        lab.advance(55 * MINUTE)
        sizes.append(pool.active_nodes)
    lab.advance(MINUTE)
    lab.do(lambda p: p.work.transition(work, WorkRequirementStatus.FINISHING, abort=False))
    lab.do(lambda p: p.pools.shut_down(pool))
    lab.advance(30 * MINUTE)

    assert sizes == [PER_WAVE, 0] * 24
    assert Counter(task.status for task in tasks) == {TaskStatus.COMPLETED: 24 * PER_WAVE}
    assert sum(task.entity.retryCount for task in tasks) == 4
    assert head.entity.workingTime is not None
    assert head.entity.workingTime.executing == timedelta(hours=24)
    statuses = Counter(node.status for node in pool.nodes.values())
    assert statuses == {NodeStatus.LOST: 4, NodeStatus.TERMINATED: 24 * PER_WAVE - 4}
    assert work.status is WorkRequirementStatus.COMPLETED
    assert (head_pool.status, pool.status) == (WorkerPoolStatus.TERMINATED, WorkerPoolStatus.TERMINATED)
    assert lab.hosts.instance_ids == []
    assert {i.status for i in lab.platform.store.instances.values()} == {InstanceStatus.TERMINATED}


def _busy(node: NodeRecord) -> bool:
    return node.status is NodeStatus.RUNNING and node.claimed


def test_idle_day_sets_no_timer() -> None:
    clock, hosts = CountingClock(), SimulatedHosts()
    lab = Lab(LocalPlatform(hosts=hosts, clock=clock, settings=Settings(random_seed=1)), clock, hosts)
    lab.booted(200, "idle")
    full = lab.booted(3, "full", maxNodes=3, workerTag="full")
    lab.tasks(lab.group(workerTags=["full"]), *(f"t{n}" for n in range(10)))  # three run, seven wait for ever
    lab.advance(HOUR)
    before = clock.readings
    lab.advance(24 * HOUR)
    assert (full.active_nodes, full.claimed, clock.readings - before) == (3, 3, 0)
    lab.platform.close()


def test_waiting_tasks_run_after_a_change_adds_capacity(lab: Lab) -> None:
    pool = lab.booted(1, maxNodes=1)
    group = lab.group()
    (first, second) = lab.tasks(group, "a", "b")
    lab.advance(HOUR)
    assert (first.status, second.status) == (TaskStatus.EXECUTING, TaskStatus.READY)
    later = lab.pool(0, "later")
    lab.advance(3)
    assert (second.status, pool.active_nodes, later.active_nodes) == (TaskStatus.EXECUTING, 1, 1)
