"""A local platform with simulated hosts in a process of its own, and a hand on it. Knows nothing of providers.

What is measured runs in other processes and meets it over HTTP; this hand reaches it by a pipe, so that looking and
stepping the clock cost no platform calls.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from yellowdog_client.model import (
    ComputeRequirementStaticTemplate,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    SimulatorComputeSource,
    Task,
    TaskStatus,
)

from benchmarks.hosts import Kind, backend
from yellowdog_local.faults import Delay
from yellowdog_local.hosts.requirements import check_namespace_hosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.service.server import ServerThread
from yellowdog_local.state.clock import Clock, RealClock, SteppedClock
from yellowdog_local.state.records import TaskRecord, WorkerRecord, WorkRecord
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import RunningPlatform

NAMESPACE = "demo"
TEMPLATE = "demo/plenty"
BOOT_SECONDS = 2
_HOSTS = 20_000
_PATIENCE_SECONDS = 240.0
_PER_CALL = 1_000
_FLOW_SECONDS = 0.1
_NEVER_SECONDS = 1e9
_END_SECONDS = 30.0


@dataclass(frozen=True)
class Address:
    """Where a platform is, and what opens it."""

    url: str
    key_id: str
    key_secret: str
    ssh_key: Path | None


class _Served:
    """The side of the platform's process."""

    def __init__(self, local: RunningPlatform) -> None:
        self._local = local
        self._store = local.platform.store
        self._delay: str | None = None
        self._dammed = threading.Event()
        self._stepping = threading.Lock()
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
        with self._stepping:
            self._local.advance(seconds)

    def flow(self, on: bool) -> None:
        if not on:
            self._dammed.set()
            return
        self._dammed.clear()
        threading.Thread(target=self._flow, daemon=True).start()

    def _flow(self) -> None:
        while not self._dammed.wait(_FLOW_SECONDS):
            self.advance(_FLOW_SECONDS)

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

    @property
    def _work(self) -> WorkRecord:
        """The cluster's work requirement, whatever its name: there is one cluster at a time."""
        return list(self._store.works.values())[-1]

    def live(self) -> int:
        return sum(group.unfinished for work in self._store.works.values() for group in work.groups)

    def executing(self) -> list[dict[str, Any]]:
        return [
            {
                "name": task.entity.name,
                "environment": dict(task.entity.environment or {}),
                "ip": _address(task.worker),
            }
            for group in self._work.groups
            for task in group.having(TaskStatus.EXECUTING)
            if task.worker is not None
        ]

    def nodes(self) -> list[dict[str, float]]:
        placed = [task for group in self._work.groups for task in group.tasks.values() if task.worker]
        return [_moments(task) for task in sorted(placed, key=lambda task: str(task.entity.startedTime))]

    def all_ended(self) -> float:
        tasks = [task for group in self._work.groups for task in group.tasks.values()]
        return max(task.entity.finishedTime.timestamp() for task in tasks if task.entity.finishedTime)

    def add_past(self, count: int) -> None:
        """Let a cluster's last task group have had so many more nodes, all of them gone."""
        group = self._work.groups[-1]
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

    def end_workers(self, count: int) -> None:
        """Let workers end as if by themselves."""
        with self._local.platform.locked():
            for task in self._work.groups[-1].in_progress[:count]:
                self._local.platform.tasks.cancel(task, abort=True)
        if count:
            self.advance(0)


def _address(worker: WorkerRecord) -> str:
    details = worker.node.entity.details
    return str(details.privateIpAddress) if details else ""


def _moments(task: TaskRecord) -> dict[str, float]:
    if task.worker is None:
        raise ValueError(f"task {task.id} has no worker")
    node, started = task.worker.node, task.entity.startedTime
    created, registered = node.instance.entity.createdTime, node.entity.registeredTime
    if created is None or registered is None or started is None:
        raise ValueError(f"task {task.id} has not started")
    return {
        "created": created.timestamp(),
        "registered": registered.timestamp(),
        "started": started.timestamp(),
    }


def _serve(pipe: Connection, core: int | None, kind: Kind, folder: Path) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    logging.disable(logging.ERROR)
    clock: Clock = RealClock() if kind == "real" else SteppedClock(datetime.now(timezone.utc))
    with backend(kind, folder) as made:
        settings = Settings(heartbeat_lost_seconds=_NEVER_SECONDS, heartbeat_late_seconds=_NEVER_SECONDS)
        platform = LocalPlatform(hosts=made.hosts, clock=clock, settings=settings)
        try:
            with ServerThread(platform, made.gateway) as server:
                if made.real is not None:
                    made.real.platform_url = server.url
                key_id, secret = platform.api_key
                served = _Served(RunningPlatform(server.url, key_id, secret, platform, clock, made.hosts, made.ssh_key))
                pipe.send(Address(server.url, key_id, secret, made.ssh_key))
                _obey(pipe, served)
        finally:
            platform.close()


def _obey(pipe: Connection, served: _Served) -> None:
    while True:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            return  # the other side has closed
        try:
            pipe.send((True, getattr(served, name)(*arguments)))
        except Exception as error:  # noqa: BLE001 - the other side is told, and raises
            pipe.send((False, f"{name}: {type(error).__name__}: {error}"))


class Lab:
    """The hand on the platform, from another process."""

    def __init__(self, pipe: Connection, address: Address) -> None:
        self._pipe = pipe
        self.address = address

    def _ask(self, name: str, *arguments: object) -> Any:
        self._pipe.send((name, arguments))
        done, answer = _received(self._pipe, name)
        if not done:
            raise RuntimeError(answer)
        return answer

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

    def live(self) -> int:
        """How many tasks have not ended, the head's included."""
        return int(self._ask("live"))

    def executing(self) -> list[dict[str, Any]]:
        """Name, environment and address of each node whose task runs."""
        return list(self._ask("executing"))

    def nodes(self) -> list[dict[str, float]]:
        """When each node's instance was made, its agent registered, its task started (seconds since the epoch)."""
        return list(self._ask("nodes"))

    def all_ended(self) -> float:
        """When the last task ended (seconds since the epoch)."""
        return float(self._ask("all_ended"))

    def add_past(self, count: int) -> None:
        """Let a cluster have had so many more workers, which are gone."""
        self._ask("add_past", count)

    def end_workers(self, count: int) -> None:
        """Let the oldest workers end."""
        self._ask("end_workers", count)


def _received(pipe: Connection, what: str) -> Any:
    if not pipe.poll(_PATIENCE_SECONDS):
        raise TimeoutError(f"the platform's process did not answer '{what}' within {_PATIENCE_SECONDS:.0f} s")
    return pipe.recv()


@contextmanager
def lab(core: int | None = None, kind: Kind = "simulated", python: Path | None = None) -> Iterator[Lab]:
    """A platform in a process of its own.

    Args:
        core: the core that it runs on; any, if omitted.
        kind: what its hosts are.
        python: the interpreter whose environment real hosts find; by default this one.

    Raises:
        MissingRequirementError: this machine cannot run real hosts.
    """
    if kind != "simulated":
        check_namespace_hosts()
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    serve: Callable[..., None] = _serve
    with tempfile.TemporaryDirectory(prefix="raydog-bench-") as place:
        process = context.Process(target=serve, args=(theirs, core, kind, Path(place)), daemon=True)
        with _interpreter(context, python):
            process.start()
        theirs.close()
        try:
            yield Lab(ours, _received(ours, "start"))
        finally:
            ours.close()  # that is its sign to end
            process.join(_END_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()


@contextmanager
def _interpreter(context: Any, python: Path | None) -> Iterator[None]:
    """Real hosts find the Python environment that their platform's interpreter belongs to."""
    context.set_executable(str(python or sys.executable))
    try:
        yield
    finally:
        context.set_executable(sys.executable)
