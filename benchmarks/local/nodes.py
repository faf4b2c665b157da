"""Thousands of simulated hosts, and a day of a cluster, each in a separate process and without HTTP."""

from __future__ import annotations

import gc
import os
import time
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from yellowdog_client.model import (
    AutoShutdown,
    ComputeRequirementStaticTemplate,
    ComputeRequirementTemplateUsage,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    ProvisionedWorkerPoolProperties,
    RunSpecification,
    SimulatorComputeSource,
    Task,
    TaskGroup,
    TaskStatus,
    WorkRequirement,
)

from benchmarks.local.processes import child
from benchmarks.local.tasks import tasks
from benchmarks.machine import Cores
from benchmarks.results import Report
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.clock import SteppedClock

KEY = "local"
NODES = 10_000
BOOT_SECONDS = 5
DAY_NODES, DAY_IDLE_NODES = 40, 100
MINUTE_SECONDS = 60


def _run_nodes(pipe: Connection, core: int) -> None:
    os.sched_setaffinity(0, {core})
    clock = SteppedClock()
    platform = LocalPlatform(hosts=SimulatedHosts(), clock=clock)
    template = add_template(platform, startup_seconds=BOOT_SECONDS)
    group = TaskGroup(name="group", runSpecification=RunSpecification(["bash"]))
    with platform.locked():
        work = platform.work.add(WorkRequirement("bench", "work", [group]))
        for few in tasks():
            platform.work.add_tasks(work.groups[0], few)
    usage = ComputeRequirementTemplateUsage(template, "pool", requirementNamespace="bench", targetInstanceCount=NODES)
    gc.collect()
    began = time.perf_counter()
    with platform.locked():
        platform.pools.provision(usage, ProvisionedWorkerPoolProperties(maxNodes=NODES))
    clock.advance(BOOT_SECONDS)
    seconds = time.perf_counter() - began
    executing = work.groups[0].counts[TaskStatus.EXECUTING]
    if executing != NODES:
        raise RuntimeError(f"{executing} of {NODES} nodes have a task")
    pipe.send((seconds, _peak_mib()))
    platform.close()


def _run_day(pipe: Connection, core: int) -> None:
    """Every hour a pool grows for its tasks and shrinks again; beside it, platform nodes that idle all day."""
    os.sched_setaffinity(0, {core})
    clock = SteppedClock()
    platform = LocalPlatform(hosts=SimulatedHosts(), clock=clock)
    template = add_template(platform, startup_seconds=BOOT_SECONDS)
    spec = RunSpecification(["bash"], workerTags=["busy"])
    idle = ComputeRequirementTemplateUsage(template, "idle", "bench", targetInstanceCount=DAY_IDLE_NODES)
    busy = ComputeRequirementTemplateUsage(template, "busy", "bench")
    shutdown = AutoShutdown(enabled=True, timeout=timedelta(minutes=5))
    gc.collect()
    began = time.perf_counter()
    with platform.locked():
        work = platform.work.add(
            WorkRequirement("bench", "work", [TaskGroup("group", spec, finishIfAllTasksFinished=False)])
        )
        platform.pools.provision(idle, ProvisionedWorkerPoolProperties())
        properties = ProvisionedWorkerPoolProperties(
            maxNodes=DAY_NODES, workerTag="busy", idleNodeShutdown=shutdown, idlePoolShutdown=AutoShutdown(False)
        )
        pool = platform.pools.provision(busy, properties)
    grown = shrunk = 0
    for hour in range(24):
        with platform.locked():
            platform.work.add_tasks(work.groups[0], [_task_of_the_day(hour, number) for number in range(DAY_NODES)])
        clock.advance(5 * MINUTE_SECONDS)
        grown += pool.active_nodes
        clock.advance(55 * MINUTE_SECONDS)
        shrunk += pool.active_nodes
    seconds = time.perf_counter() - began
    completed = work.groups[0].counts[TaskStatus.COMPLETED]
    if (completed, grown, shrunk) != (24 * DAY_NODES, 24 * DAY_NODES, 0):
        raise RuntimeError(f"a day with {completed} tasks, {grown} nodes in the rush hours and {shrunk} in others")
    pipe.send((seconds, _peak_mib()))
    platform.close()


def _task_of_the_day(hour: int, number: int) -> Task:
    seconds = (5 + number) * MINUTE_SECONDS / 2
    return Task(name=f"task-{hour}-{number}", taskType="bash", environment={"SIM_TASK_SECONDS": str(seconds)})


def add_template(platform: LocalPlatform, *, startup_seconds: int) -> str:
    """A compute requirement template for hosts that boot so fast; gives what names it."""
    source = SimulatorComputeSource(name="bench", instanceStartupTimeSeconds=startup_seconds)
    with platform.locked():
        kept = platform.templates.add_source(ComputeSourceTemplate(source=source, namespace="bench"))
        made = ComputeRequirementStaticTemplate(
            name="bench",
            namespace="bench",
            strategyType="co.yellowdog.platform.model.SingleSourceProvisionStrategy",
            sources=[ComputeSourceUsage(str(kept.id))],
        )
        platform.templates.add_requirement(made)
    return "bench/bench"


def _peak_mib() -> float:
    # Not `getrusage`: that counts what the parent had before the child began its own life.
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


def measure_nodes(report: Report, cores: Cores) -> None:
    """Many nodes at once."""
    for seconds, mib in child(_run_nodes, cores.platform):
        report.row(f"{NODES:,} simulated nodes boot, register and take a task", "s", 15.0).add(KEY, seconds)
        report.row(f"peak memory of these {NODES:,} nodes' process", "MiB", 1_024.0).add(KEY, mib)


def measure_day(report: Report, cores: Cores) -> None:
    """A day of a cluster."""
    for seconds, _mib in child(_run_day, cores.platform):
        report.row("a day of a cluster on the stepped clock", "s", 1.0).add(KEY, seconds)
