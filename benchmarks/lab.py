"""A local platform with simulated hosts in a process of its own, and a hand on it. Knows nothing of providers.

What is measured runs in other processes and meets it over HTTP; this hand reaches it by a pipe, so that looking and
stepping the clock cost no platform calls.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from yellowdog_client.model import (
    ComputeRequirementStaticTemplate,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    SimulatorComputeSource,
    Task,
)

from yellowdog_local.clock import SteppedClock
from yellowdog_local.faults import Delay
from yellowdog_local.records import WorkRecord
from yellowdog_local.testing import RunningPlatform, local_platform

NAMESPACE = "demo"
TEMPLATE = "demo/plenty"
BOOT_SECONDS = 2
_HOSTS = 20_000
_PATIENCE_SECONDS = 240.0
_PER_CALL = 1_000
_FLOW_SECONDS = 0.1


@dataclass(frozen=True)
class Address:
    """Where a platform is, and what opens it."""

    url: str
    key_id: str
    key_secret: str
    pid: int


class _Served:
    """The side of the platform's process."""

    def __init__(self, local: RunningPlatform) -> None:
        self._local = local
        self._store = local.platform.store
        self._delay: str | None = None
        self._dammed = threading.Event()
        source = SimulatorComputeSource(name="plenty", instanceStartupTimeSeconds=BOOT_SECONDS, limit=_HOSTS)
        templates = local.platform.templates
        with local.platform.locked():
            kept = templates.add_source(ComputeSourceTemplate(source=source, namespace=NAMESPACE))
            templates.add_requirement(
                ComputeRequirementStaticTemplate(
                    name="plenty",
                    namespace=NAMESPACE,
                    strategyType="co.yellowdog.platform.model.SingleSourceProvisionStrategy",
                    sources=[ComputeSourceUsage(str(kept.id))],
                )
            )

    def advance(self, seconds: float) -> None:
        self._local.advance(seconds)

    def flow(self, on: bool) -> None:
        if not on:
            self._dammed.set()
            return
        self._dammed.clear()
        threading.Thread(target=self._flow, daemon=True).start()

    def _flow(self) -> None:
        while not self._dammed.wait(_FLOW_SECONDS):
            self._local.advance(_FLOW_SECONDS)

    def mark(self) -> int:
        return self._local.calls.mark()

    def calls(self, since: int) -> dict[str, int]:
        return Counter(f"{call.method} {call.route}" for call in self._local.calls.since(since))

    def timed_calls(self, since: int) -> list[tuple[float, float, str]]:
        return [(c.wall, c.milliseconds, f"{c.method} {c.route}") for c in self._local.calls.since(since)]

    def bytes(self, since: int) -> int:
        return sum(call.bytes_in + call.bytes_out for call in self._local.calls.since(since))

    def delay(self, seconds: float) -> None:
        if self._delay is not None:
            self._local.faults.remove(self._delay)
        self._delay = self._local.faults.add(Delay(seconds=seconds)) if seconds else None

    def works(self) -> list[dict[str, Any]]:
        return [self._describe(work) for work in list(self._store.works.values()) if not work.status.finished]

    def _describe(self, work: WorkRecord) -> dict[str, Any]:
        tasks = [task for group in work.groups for task in group.tasks.values() if not task.status.finished]
        return {
            "id": work.id,
            "name": work.entity.name,
            "live": len(tasks),
            "executing": sum(task.status.value == "EXECUTING" for task in tasks),
            "ending": sum(task.entity.abortRequestedTime is not None for task in tasks),
            "all": sum(len(group.tasks) for group in work.groups),
        }

    def executing(self, name: str) -> list[dict[str, Any]]:
        work = self._store.work_by_name(NAMESPACE, name)
        return [
            {
                "name": task.entity.name,
                "environment": dict(task.entity.environment or {}),
                "ip": str(task.worker.node.entity.details.privateIpAddress),
            }
            for group in work.groups
            for task in group.tasks.values()
            if task.worker is not None and task.status.value == "EXECUTING"
        ]

    def add_past(self, name: str, count: int) -> None:
        """Let a cluster's last task group have had so many more nodes, all of them gone."""
        work = self._store.work_by_name(NAMESPACE, name)
        group = work.groups[-1]
        model = next(iter(group.tasks.values())).entity
        gc.disable()
        for start in range(0, count, _PER_CALL):
            few = [
                Task(
                    name=f"{model.name}-past-{number}",
                    taskType=model.taskType,
                    arguments=model.arguments,
                    environment=model.environment,
                    taskData=model.taskData,
                )
                for number in range(start, min(start + _PER_CALL, count))
            ]
            with self._local.platform.locked():
                for task in self._local.platform.work.add_tasks(group, few):
                    self._local.platform.tasks.cancel(task, abort=True)
        gc.enable()

    def end_workers(self, name: str, count: int) -> None:
        """Let workers end as if by themselves."""
        work = self._store.work_by_name(NAMESPACE, name)
        with self._local.platform.locked():
            live = [task for task in work.groups[-1].tasks.values() if task.status.in_progress]
            for task in live[:count]:
                self._local.platform.tasks.cancel(task, abort=True)
        self._local.advance(0)


def _serve(pipe: Connection, core: int) -> None:
    os.sched_setaffinity(0, {core})
    logging.disable(logging.ERROR)
    with local_platform(clock=SteppedClock(datetime.now(timezone.utc))) as local:
        served = _Served(local)
        pipe.send(Address(local.url, local.key_id, local.key_secret, os.getpid()))
        while True:
            try:
                name, arguments = pipe.recv()
            except EOFError:
                return  # the other side has closed
            pipe.send(getattr(served, name)(*arguments))


class Lab:
    """The hand on the platform, from another process."""

    def __init__(self, pipe: Connection, address: Address) -> None:
        self._pipe = pipe
        self.address = address

    def _ask(self, name: str, *arguments: object) -> Any:
        self._pipe.send((name, arguments))
        return _received(self._pipe, name)

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass on the platform."""
        self._ask("advance", seconds)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Let time pass on the platform as it really does, for those who wait for something."""
        self._ask("flow", True)
        try:
            yield
        finally:
            self._ask("flow", False)

    def mark(self) -> int:
        """Now, as a number to give to `since` later: how many calls there have been."""
        return int(self._ask("mark"))

    def calls(self, since: int) -> dict[str, int]:
        """How often each route was called since a mark."""
        return dict(self._ask("calls", since))

    def timed_calls(self, since: int) -> list[tuple[float, float, str]]:
        """Of each call since a mark: when it ended (seconds since the epoch), its milliseconds, its route."""
        return list(self._ask("timed_calls", since))

    def bytes(self, since: int) -> int:
        """The size of all bodies, both ways, since a mark."""
        return int(self._ask("bytes", since))

    def delay(self, seconds: float) -> None:
        """Let every call take so much longer; 0 for no longer."""
        self._ask("delay", seconds)

    def works(self) -> list[dict[str, Any]]:
        """The unfinished work requirements, with the numbers of their tasks."""
        return list(self._ask("works"))

    def executing(self, cluster: str) -> list[dict[str, Any]]:
        """Name, environment and address of each node whose task runs."""
        return list(self._ask("executing", cluster))

    def add_past(self, cluster: str, count: int) -> None:
        """Let a cluster have had so many more workers, which are gone."""
        self._ask("add_past", cluster, count)

    def end_workers(self, cluster: str, count: int) -> None:
        """Let the oldest workers end."""
        self._ask("end_workers", cluster, count)


def _received(pipe: Connection, what: str) -> Any:
    if not pipe.poll(_PATIENCE_SECONDS):
        raise TimeoutError(f"the platform's process did not answer '{what}' within {_PATIENCE_SECONDS:.0f} s")
    return pipe.recv()


@contextmanager
def lab(core: int) -> Iterator[Lab]:
    """A platform in a process of its own, on one core."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    serve: Callable[..., None] = _serve
    process = context.Process(target=serve, args=(theirs, core), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Lab(ours, _received(ours, "start"))
    finally:
        ours.close()  # that is its sign to end
        process.join(20)
        if process.is_alive():
            process.kill()
            process.join()
