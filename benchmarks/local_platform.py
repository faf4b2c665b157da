"""Measures the local platform against its goals, on one core: `python benchmarks/local_platform.py --help`."""

from __future__ import annotations

import argparse
import contextlib
import gc
import http.client
import json
import logging
import os
import platform as machine
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ApiKey,
    AutoShutdown,
    ComputeRequirementStaticTemplate,
    ComputeRequirementTemplateUsage,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    ProvisionedWorkerPoolProperties,
    RetryProperties,
    RunSpecification,
    ServicesSchema,
    SimulatorComputeSource,
    SliceReference,
    Task,
    TaskGroup,
    TaskSearch,
    TaskStatus,
    WorkRequirement,
)

from yellowdog_local.clock import RealClock, SteppedClock
from yellowdog_local.hosts.namespace import NamespaceHosts, make_key
from yellowdog_local.hosts.requirements import MissingRequirementError, check_hosts
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.server import ServerThread
from yellowdog_local.testing import local_platform

TASKS = 10_000
PER_CALL = 1_000
NODES = 10_000
BOOT_SECONDS = 5
DAY_NODES, DAY_IDLE_NODES = 40, 100
MINUTE_SECONDS, HOUR_SECONDS = 60, 3_600
GET_SECONDS = 2.0
CONNECTIONS = 4
WARM_UP_ROUNDS = 50
RUNS = 5
PATIENCE_SECONDS = 120.0

GET_TASK = "GET of one task"
GET_POOL = "GET of one worker pool"
CPU_TASK = "processor time of the server for a task's GET"
CPU_POOL = "processor time of the server for a pool's GET"
LIST_RAW = f"list {TASKS:,} tasks in pages of {PER_CALL:,}, raw"
LIST_SDK = f"list {TASKS:,} tasks in pages of {PER_CALL:,}, SDK"
ADD_RAW = f"add {TASKS:,} tasks in {TASKS // PER_CALL} calls, raw"
ADD_SDK = f"add {TASKS:,} tasks in {TASKS // PER_CALL} calls, SDK"
NODES_TIME = f"{NODES:,} simulated nodes boot, register and take a task"
NODES_MEMORY = f"peak memory of these {NODES:,} nodes' process"
DAY_TIME = "a day of a cluster on the stepped clock"
HOST_SSH = "a namespace host answers ssh, from the request"


@dataclass
class Row:
    """One figure: what was measured in each run, and what is wanted."""

    name: str
    unit: str
    goal: float
    more_is_better: bool = False
    values: list[float] = field(default_factory=list)
    skipped: str | None = None

    @property
    def median(self) -> float | None:
        """The middle of all runs; None if there was none."""
        return statistics.median(self.values) if self.values else None

    @property
    def met(self) -> bool | None:
        """Whether the median meets the goal; None if nothing was measured."""
        if self.median is None:
            return None
        return self.median >= self.goal if self.more_is_better else self.median < self.goal


def _rows() -> dict[str, Row]:
    rows = (
        Row(GET_TASK, "1/s", 1_000, more_is_better=True),
        Row(CPU_TASK, "ms", 1.0),
        Row(GET_POOL, "1/s", 1_000, more_is_better=True),
        Row(CPU_POOL, "ms", 1.0),
        Row(LIST_RAW, "s", 1.0),
        Row(LIST_SDK, "s", 1.0),
        Row(ADD_RAW, "s", 2.0),
        Row(ADD_SDK, "s", 2.0),
        Row(NODES_TIME, "s", 15.0),
        Row(NODES_MEMORY, "MiB", 1_024.0),
        Row(DAY_TIME, "s", 1.0),
        Row(HOST_SSH, "s", 1.5),
    )
    return {row.name: row for row in rows}


# ------------------------------------------------------------------------------------------- processes and cores


@dataclass(frozen=True)
class Server:
    """A platform that is served by another process."""

    host: str
    port: int
    key_id: str
    key_secret: str
    pid: int

    def cpu_seconds(self) -> float:
        """The processor time that it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cores:
    """Who runs where. With a single core both share it, and figures over HTTP are worse."""

    server: int
    client: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first two cores that this process may use."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[-1 if len(usable) == 1 else 1])


def _child(target: Callable[..., None], *arguments: object) -> Iterator[Any]:
    """Run a function in a fresh process; gives what it sends, then lets it end."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        if not ours.poll(PATIENCE_SECONDS):
            raise TimeoutError(f"{target.__name__} did not answer within {PATIENCE_SECONDS:.0f} s")
        yield ours.recv()
    finally:
        ours.close()  # that is its sign to end
        process.join(PATIENCE_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(pipe: Connection, core: int) -> None:
    os.sched_setaffinity(0, {core})
    with local_platform(clock=SteppedClock()) as local:
        parts = urlsplit(local.url)
        pipe.send(Server(str(parts.hostname), int(parts.port or 0), local.key_id, local.key_secret, os.getpid()))
        try:
            pipe.recv()  # ends when the other side closes
        except EOFError:
            return


@contextlib.contextmanager
def _served(core: int) -> Iterator[Server]:
    yield from _child(_serve, core)


# --------------------------------------------------------------------------------------------------- over HTTP


class Http:
    """Raw calls over one connection that is kept, as little in the way as `http.client` allows."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_SECONDS)
        self._headers = {"Authorization": f"yd-key {server.key_id}:{server.key_secret}"}

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of the answer, which must be 200."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: {answer.status} {said[:200]!r}")
        return said

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextlib.contextmanager
def _sdk(server: Server) -> Iterator[PlatformClient]:
    schema = ServicesSchema(
        defaultUrl=f"http://{server.host}:{server.port}",
        retry=RetryProperties(maxAttempts=1),
        readTimeout=timedelta(seconds=PATIENCE_SECONDS),
    )
    client = PlatformClient.create(schema, ApiKey(server.key_id, server.key_secret))
    try:
        yield client
    finally:
        client.close()


def _work_of_one_group(client: PlatformClient, name: str) -> tuple[str, str]:
    group = TaskGroup(name="group", runSpecification=RunSpecification(["bash"]))
    work = client.work_client.add_work_requirement(WorkRequirement("bench", name, [group]))
    groups = work.taskGroups or []
    return str(work.id), str(groups[0].id)


def _tasks() -> list[list[Task]]:
    """Tasks as a cluster launcher makes them: named, with an argument and some environment."""
    environment = {"CLUSTER": "bench", "NODE_TYPE": "worker", "HEAD": "10.0.0.1"}
    tasks = [
        Task(name=f"task-{number}", taskType="bash", arguments=["task.sh"], environment=environment)
        for number in range(TASKS)
    ]
    return [tasks[start : start + PER_CALL] for start in range(0, TASKS, PER_CALL)]


def _bodies() -> list[bytes]:
    fields = ("name", "taskType", "arguments", "environment")
    return [json.dumps([{name: getattr(task, name) for name in fields} for task in few]).encode() for few in _tasks()]


def _timed(call: Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _get_often(server: Server, path: str) -> tuple[float, float]:
    """Calls per second, and the server's processor time for each (ms).

    Raw sockets that stay open, one call at a time on each: the server always has the next one waiting, and the client
    needs less time for it than the server.
    """
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {server.host}",
        f"Authorization: yd-key {server.key_id}:{server.key_secret}",
    )
    call = "\r\n".join((*lines, "", "")).encode()
    with contextlib.ExitStack() as stack:
        address = (server.host, server.port)
        sockets = [stack.enter_context(socket.create_connection(address, PATIENCE_SECONDS)) for _ in range(CONNECTIONS)]
        for connection in sockets:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(call)
        for _ in range(WARM_UP_ROUNDS):
            _answer_all(sockets, call)
        count, cpu, began = 0, server.cpu_seconds(), time.perf_counter()
        while (seconds := time.perf_counter() - began) < GET_SECONDS:
            _answer_all(sockets, call)
            count += CONNECTIONS
        return count / seconds, (server.cpu_seconds() - cpu) * 1000 / count


def _answer_all(sockets: list[socket.socket], call: bytes) -> None:
    for connection in sockets:
        head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"a GET was answered with {head[:60]!r}")
        missing = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) - len(body)
        while missing > 0:
            missing -= len(connection.recv(65_536))
        connection.sendall(call)


def _list_raw(http_: Http, work_id: str) -> None:
    path = f"/work/tasks?sliced=true&workRequirementId={work_id}&size={PER_CALL}"
    seen, page = 0, ""
    while True:
        answer = json.loads(http_.call("GET", path + page))
        seen += len(answer["items"])
        if not answer.get("nextSliceId"):
            break
        page = f"&sliceId={answer['nextSliceId']}"
    _expect(seen)


def _list_sdk(client: PlatformClient, work_id: str) -> None:
    search = client.work_client.get_tasks(TaskSearch(workRequirementId=work_id))
    seen, reference = 0, SliceReference(size=PER_CALL)
    while True:
        part = search.slice(reference)
        seen += len(part.items or [])
        if not part.nextSliceId:
            break
        reference = SliceReference(sliceId=part.nextSliceId, size=PER_CALL)
    _expect(seen)


def _expect(seen: int) -> None:
    if seen != TASKS:
        raise RuntimeError(f"{seen} tasks were listed instead of {TASKS}")


def measure_http(rows: dict[str, Row], cores: Cores) -> None:
    """All figures over HTTP, once, with a fresh server on a core of its own."""
    os.sched_setaffinity(0, {cores.client})
    with _served(cores.server) as server, _sdk(server) as client:
        raw = Http(server)
        work_id, group_id = _work_of_one_group(client, "raw")
        bodies = _bodies()
        path = f"/work/taskGroups/{group_id}/tasks"
        rows[ADD_RAW].values.append(_timed(lambda: [raw.call("POST", path, body) for body in bodies]))
        rows[LIST_RAW].values.append(_timed(lambda: _list_raw(raw, work_id)))
        work_id, group_id = _work_of_one_group(client, "sdk")
        tasks, add = _tasks(), client.work_client.add_tasks_to_task_group_by_id
        rows[ADD_SDK].values.append(_timed(lambda: [add(group_id, few) for few in tasks]))
        rows[LIST_SDK].values.append(_timed(lambda: _list_sdk(client, work_id)))
        usage = ComputeRequirementTemplateUsage("demo/local", "pool", requirementNamespace="bench")
        pool = client.worker_pool_client.provision_worker_pool(usage, ProvisionedWorkerPoolProperties())
        task_id = _first_task(raw, work_id)
        for name, cpu_name, path in (
            (GET_TASK, CPU_TASK, f"/work/tasks/{task_id}"),
            (GET_POOL, CPU_POOL, f"/workerPools/{pool.id}"),
        ):
            rate, milliseconds = _get_often(server, path)
            rows[name].values.append(rate)
            rows[cpu_name].values.append(milliseconds)
        raw.close()


def _first_task(http_: Http, work_id: str) -> str:
    answer = json.loads(http_.call("GET", f"/work/tasks?sliced=true&workRequirementId={work_id}&size=1"))
    return str(answer["items"][0]["id"])


# --------------------------------------------------------------------------------------------- simulated nodes


def _run_nodes(pipe: Connection, core: int) -> None:
    os.sched_setaffinity(0, {core})
    clock = SteppedClock()
    platform = LocalPlatform(hosts=SimulatedHosts(), clock=clock)
    template = _template(platform, startup_seconds=BOOT_SECONDS)
    group = TaskGroup(name="group", runSpecification=RunSpecification(["bash"]))
    with platform.locked():
        work = platform.work.add(WorkRequirement("bench", "work", [group]))
        for few in _tasks():
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
    template = _template(platform, startup_seconds=BOOT_SECONDS)
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


def _template(platform: LocalPlatform, *, startup_seconds: int) -> str:
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


def measure_nodes(rows: dict[str, Row], cores: Cores) -> None:
    """Many nodes at once, in a process of their own."""
    for seconds, mib in _child(_run_nodes, cores.server):
        rows[NODES_TIME].values.append(seconds)
        rows[NODES_MEMORY].values.append(mib)


def measure_day(rows: dict[str, Row], cores: Cores) -> None:
    """A day of a cluster, in a process of its own."""
    for seconds, _mib in _child(_run_day, cores.server):
        rows[DAY_TIME].values.append(seconds)


# --------------------------------------------------------------------------------------------- namespace hosts


def measure_hosts(rows: dict[str, Row], cores: Cores, runs: int) -> None:
    """From the request for an instance to the end of the first `ssh`, one host after the other.

    Everything shares the two cores, as it does where the platform is used; a host is many processes.
    """
    os.sched_setaffinity(0, {cores.server, cores.client})
    try:
        check_hosts()
    except MissingRequirementError as error:
        rows[HOST_SSH].skipped = str(error)
        return
    with tempfile.TemporaryDirectory(prefix="raydog-bench-") as directory:
        key = Path(directory) / "id_ed25519"
        make_key(key, "bench")
        public_key = key.with_name("id_ed25519.pub").read_text(encoding="utf-8")
        hosts = NamespaceHosts(Path(directory) / "data", public_key)
        hosts.open()
        platform = LocalPlatform(hosts=hosts, clock=RealClock())
        try:
            with ServerThread(platform, hosts.gateway) as server:
                hosts.platform_url = server.url
                _template(platform, startup_seconds=0)
                rows[HOST_SSH].values = [_time_of_a_host(platform, key, number) for number in range(runs)]
        finally:
            platform.close()


def _time_of_a_host(platform: LocalPlatform, key: Path, number: int) -> float:
    usage = ComputeRequirementTemplateUsage(
        "bench/bench", f"pool-{number}", requirementNamespace="bench", targetInstanceCount=1
    )
    began = time.perf_counter()
    with platform.locked():
        pool = platform.pools.provision(usage, ProvisionedWorkerPoolProperties())
    (instance,) = pool.requirement.instances.values()
    while True:
        address = instance.entity.publicIpAddress
        if address is not None and _ssh_works(key, address):
            break
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise TimeoutError(f"the host did not answer ssh within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.005)
    seconds = time.perf_counter() - began
    with platform.locked():
        platform.compute.terminate(pool.requirement)
    return seconds


def _ssh_works(key: Path, address: str) -> bool:
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
    flags = [part for option in (*options, "IdentitiesOnly=yes", "ConnectTimeout=1") for part in ("-o", option)]
    command = ["ssh", "-F", "none", "-i", str(key), *flags, f"yd-agent@{address}", "true"]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


# ------------------------------------------------------------------------------------------------------ report


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _table(rows: dict[str, Row], runs: int, of: dict[str, object]) -> Table:
    title = f"The local platform, median of {runs} run(s)"
    caption = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in of.items())
    table = Table(title=title, caption=caption)
    table.add_column("what")
    for title in ("median", "least", "most", "goal"):
        table.add_column(title, justify="right")
    table.add_column("met")
    for row in rows.values():
        values = [_figure(v) for v in (row.median, min(row.values, default=None), max(row.values, default=None))]
        goal = f"{'≥' if row.more_is_better else '<'} {row.goal:,g} {row.unit}"
        met = {True: "yes", False: "[bold red]no[/]", None: "skipped"}[row.met]
        table.add_row(row.name, *values, goal, met)
    return table


def _machine() -> dict[str, object]:
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{machine.system()} {machine.release()}",
        "python": machine.python_version(),
        # Above 0 before the first run: others are at work on this machine, and the figures are worse for it.
        "load_before": round(os.getloadavg()[0], 2),
    }


def _as_json(rows: dict[str, Row], runs: int, of: dict[str, object]) -> str:
    figures = [{**asdict(row), "median": row.median, "met": row.met} for row in rows.values()]
    return json.dumps({"machine": of, "runs": runs, "figures": figures}, indent=2) + "\n"


def main() -> int:
    """Measure everything; exit with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"one run instead of {RUNS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    console, errors = Console(), Console(stderr=True)
    runs = 1 if arguments.quick else RUNS
    of, cores, rows = _machine(), Cores.of_this_machine(), _rows()
    if cores.server == cores.client:
        errors.print("Only one core: server and client share it, and figures over HTTP are worse for it.")
    for number in range(1, runs + 1):
        errors.print(f"run {number} of {runs}: HTTP")
        measure_http(rows, cores)
        errors.print(f"run {number} of {runs}: nodes")
        measure_nodes(rows, cores)
        errors.print(f"run {number} of {runs}: a day")
        measure_day(rows, cores)
    errors.print(f"{runs} namespace host(s)")
    measure_hosts(rows, cores, runs)
    console.print(_table(rows, runs, of))
    for row in rows.values():
        if row.skipped:
            console.print(f"Skipped: {row.name}: {row.skipped}")
    if arguments.json:
        arguments.json.write_text(_as_json(rows, runs, of), encoding="utf-8")
    return 1 if any(row.met is False for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
