"""The platform under every simulation: no HTTP, simulated hosts, a clock that only tests move. Loads no provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from yellowdog_client import PlatformClient
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
    WorkRequirement,
)

from yellowdog_local.faults import Faults
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.recording import Calls
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.records import GroupRecord, NodeRecord, PoolRecord, TaskRecord, WorkRecord
from yellowdog_local.testing import RunningPlatform

URL = "https://platform.test"
"""Where the simulated wire serves the platform."""

BOOT_SECONDS = 2


def after(seconds: float) -> AutoShutdown:
    """Shut down when idle for so long."""
    return AutoShutdown(enabled=True, timeout=timedelta(seconds=seconds))


@dataclass
class Lab:
    """A platform with simulated hosts on a clock that only tests move."""

    platform: LocalPlatform
    clock: SteppedClock
    hosts: SimulatedHosts

    @property
    def url(self) -> str:
        return URL

    @property
    def key_id(self) -> str:
        return self.platform.api_key[0]

    @property
    def key_secret(self) -> str:
        return self.platform.api_key[1]

    @property
    def faults(self) -> Faults:
        return self.platform.faults

    @property
    def calls(self) -> Calls:
        return self.platform.calls

    def client(self) -> PlatformClient:
        """An SDK client, for tests that have installed the simulated wire."""
        return RunningPlatform(URL, *self.platform.api_key, self.platform, self.clock, self.hosts).client()

    def advance(self, seconds: float = 0.0) -> None:
        self.clock.advance(seconds)

    def pool(self, count: int = 1, name: str = "pool", template: str = "demo/local", **properties: Any) -> PoolRecord:
        properties.setdefault("maxNodes", max(count, 1) * 10)
        usage = ComputeRequirementTemplateUsage(
            templateId=template, requirementNamespace="demo", requirementName=name, targetInstanceCount=count
        )
        with self.platform.locked():
            return self.platform.pools.provision(usage, ProvisionedWorkerPoolProperties(**properties))

    def booted(self, count: int = 1, name: str = "pool", **properties: Any) -> PoolRecord:
        pool = self.pool(count, name, **properties)
        self.advance(BOOT_SECONDS)
        return pool

    def work(self, name: str = "work", *groups: TaskGroup) -> WorkRecord:
        entity = WorkRequirement("demo", name, list(groups) or [self.group_spec("group")])
        with self.platform.locked():
            return self.platform.work.add(entity)

    def group_spec(self, name: str, *, keep: bool = True, **spec: Any) -> TaskGroup:
        return TaskGroup(
            name=name, runSpecification=RunSpecification(["bash"], **spec), finishIfAllTasksFinished=not keep
        )

    def group(self, *, name: str = "work", keep: bool = True, **spec: Any) -> GroupRecord:
        return self.work(name, self.group_spec("group", keep=keep, **spec)).groups[0]

    def tasks(self, group: GroupRecord, *names: str, **fields: Any) -> list[TaskRecord]:
        entities = [Task(name=name, taskType="bash", **fields) for name in names]
        with self.platform.locked():
            return self.platform.work.add_tasks(group, entities)

    def ending(self, group: GroupRecord, name: str, seconds: float, exit_code: int = 0, **fields: Any) -> TaskRecord:
        environment = {"SIM_TASK_SECONDS": str(seconds), "SIM_TASK_EXIT_CODE": str(exit_code)}
        return self.tasks(group, name, environment=environment, **fields)[0]

    def do(self, call: Callable[[LocalPlatform], object]) -> None:
        with self.platform.locked():
            call(self.platform)

    def node(self, pool: PoolRecord, number: int = 0) -> NodeRecord:
        return list(pool.nodes.values())[number]

    def template(self, *sources: SimulatorComputeSource, strategy: str = "Single", name: str = "made") -> str:
        usages = []
        with self.platform.locked():
            for source in sources:
                entity = ComputeSourceTemplate(source=source, namespace="demo")
                kept = self.platform.templates.add_source(entity)
                usages.append(ComputeSourceUsage(kept.id or ""))
            self.platform.templates.add_requirement(
                ComputeRequirementStaticTemplate(
                    name=name,
                    namespace="demo",
                    strategyType=f"co.yellowdog.platform.model.{strategy}{_suffix(strategy)}ProvisionStrategy",
                    sources=usages,
                )
            )
        return f"demo/{name}"


def _suffix(strategy: str) -> str:
    return "Source" if strategy == "Single" else ""


LabMaker = Callable[..., Lab]
