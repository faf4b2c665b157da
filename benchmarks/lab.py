"""A local platform with simulated hosts in a separate process, and its control. Independent of providers.

Measured code runs in other processes and uses HTTP. The control uses a pipe, so reading state and stepping the clock
cost no platform calls.
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
from yellowdog_local.hosts.prerequisites import check_namespace_hosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.service.server import ServerThread
from yellowdog_local.state.clock import Clock, RealClock, SteppedClock
from yellowdog_local.state.records import TaskRecord, WorkerRecord, WorkRecord
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.names import publisher_of

NAMESPACE = "demo"
TEMPLATE = "demo/plenty"
BOOT_SECONDS = 2
_HOSTS = 20_000
_TIMEOUT_SECONDS = 240.0
_PER_CALL = 1_000
_FLOW_SECONDS = 0.1
_NEVER_SECONDS = 1e9
_END_SECONDS = 30.0


@dataclass(frozen=True)
class Address:
    """A platform's URL and credentials."""

    url: str
    key_id: str
    key_secret: str
    ssh_key: Path | None


class _Served:
    """The control's counterpart in the platform's process."""

    def __init__(self, local: RunningPlatform) -> None:
        self._local = local
        self._store = local.platform.store
        self._delay: str | None = None
        self._flow_stopped = threading.Event()
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
            self._flow_stopped.set()
            return
        self._flow_stopped.clear()
        threading.Thread(target=self._flow, daemon=True).start()

    def _flow(self) -> None:
        while not self._flow_stopped.wait(_FLOW_SECONDS):
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
        """The work requirement of the one cluster; its head publishes others, which hold texts."""
        works = self._store.works.values()
        return [work for work in works if not publisher_of(work.entity.name, work.entity.tag or "")][-1]

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
        """Add ended nodes to the cluster's last task group."""
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
        """End the tasks of workers."""
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


def _serve(pipe: Connection, core: int | None, kind: Kind, directory: Path) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    logging.disable(logging.ERROR)
    clock: Clock = RealClock() if kind == "real" else SteppedClock(datetime.now(timezone.utc))
    with backend(kind, directory) as made:
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
        except Exception as error:  # noqa: BLE001 - the other side receives it, and raises
            pipe.send((False, f"{name}: {type(error).__name__}: {error}"))


class Lab:
    """Controls the platform from another process."""

    def __init__(self, pipe: Connection, address: Address) -> None:
        self._pipe = pipe
        self.address = address

    def _request(self, name: str, *arguments: object) -> Any:
        self._pipe.send((name, arguments))
        done, answer = _received(self._pipe, name)
        if not done:
            raise RuntimeError(answer)
        return answer

    def advance(self, seconds: float = 0.0) -> None:
        """Step the platform's clock."""
        self._request("advance", seconds)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Run the platform's clock in real time."""
        self._request("flow", True)
        try:
            yield
        finally:
            self._request("flow", False)

    def mark(self) -> int:
        """Number of calls so far, as the `since` of later readings."""
        return int(self._request("mark"))

    def calls(self, since: int) -> dict[str, int]:
        """Calls per route since a mark."""
        return dict(self._request("calls", since))

    def timed_calls(self, since: int) -> list[tuple[float, float, str]]:
        """For each call since a mark: end (seconds since the epoch), duration (milliseconds), route."""
        return list(self._request("timed_calls", since))

    def bytes(self, since: int) -> int:
        """Total size of all bodies, in both directions, since a mark."""
        return int(self._request("bytes", since))

    def delay(self, seconds: float) -> None:
        """Delay every call; 0 removes the delay."""
        self._request("delay", seconds)

    def live(self) -> int:
        """Number of unfinished tasks, including the head's."""
        return int(self._request("live"))

    def executing(self) -> list[dict[str, Any]]:
        """Name, environment and address of each node with an executing task."""
        return list(self._request("executing"))

    def nodes(self) -> list[dict[str, float]]:
        """Times (seconds since the epoch) of each node: instance created, agent registered, task started."""
        return list(self._request("nodes"))

    def all_ended(self) -> float:
        """End of the last task (seconds since the epoch)."""
        return float(self._request("all_ended"))

    def add_past(self, count: int) -> None:
        """Add ended workers to the cluster."""
        self._request("add_past", count)

    def end_workers(self, count: int) -> None:
        """End the tasks of the oldest workers."""
        self._request("end_workers", count)


def _received(pipe: Connection, what: str) -> Any:
    if not pipe.poll(_TIMEOUT_SECONDS):
        raise TimeoutError(f"the platform's process did not answer '{what}' within {_TIMEOUT_SECONDS:.0f} s")
    return pipe.recv()


@contextmanager
def lab(core: int | None = None, kind: Kind = "simulated", python: Path | None = None) -> Iterator[Lab]:
    """A platform in a separate process.

    Args:
        core: the core of the process; any core if omitted.
        kind: the kind of hosts.
        python: the interpreter whose environment real hosts get; by default this one.

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
            ours.close()  # signals the process to end
            process.join(_END_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()


@contextmanager
def _interpreter(context: Any, python: Path | None) -> Iterator[None]:
    """Start the platform with this interpreter: real hosts get its Python environment."""
    context.set_executable(str(python or sys.executable))
    try:
        yield
    finally:
        context.set_executable(sys.executable)
