"""Measures the cost of Ray's control store in the head's Valkey.

`python -m benchmarks.control_store [--nodes N] [--tasks N]`
Runs Ray's own `gcs_server` with the storage that a supervised head gives it, and without. The nodes are registered by
their protocol; no raylet runs. docs/development/head.md has the figures.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import redis
from ray._private.services import GCS_SERVER_EXECUTABLE, serialize_config
from ray._raylet import GcsClient
from ray.core.generated import gcs_pb2, gcs_service_pb2, gcs_service_pb2_grpc

from yellowdog_ray.head.processes import start
from yellowdog_ray.head.store import USER, Store
from yellowdog_ray.node.scripts import HEAD_POLL_SECONDS

START_SECONDS = 20.0
REST_SECONDS = 10.0
TASKS_PER_MESSAGE = 10_000
"""Tasks in one message to the control store."""

SOCKETS = "/tmp/ray/session_2026-01-01_00-00-00_000000_1/sockets"  # noqa: S108 - only a name

_FOR_EVER_MS = 10**8


class Server:
    """A running control store, and its Valkey if it has one."""

    def __init__(self, folder: Path, *, stored: bool) -> None:
        self.port = _free_port()
        self.valkey: redis.Redis | None = None
        self.valkey_pid = 0
        self._processes: list[int] = []
        options: list[str] = []
        if stored:
            options = self._start_valkey(folder / "store")
        # Nothing answers for the nodes, so the store must not look after them.
        config = {"health_check_initial_delay_ms": _FOR_EVER_MS, "health_check_period_ms": _FOR_EVER_MS}
        config["gcs_pull_resource_loads_period_milliseconds"] = _FOR_EVER_MS
        self._process = subprocess.Popen(
            [
                *(GCS_SERVER_EXECUTABLE, f"--log_dir={folder}", f"--config_list={serialize_config(config)}"),
                *(f"--gcs_server_port={self.port}", "--metrics-agent-port=0", "--node-ip-address=127.0.0.1"),
                *("--session-name=benchmark", f"--session-dir={folder}", f"--node-id={'0' * 56}", *options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "RAY_external_storage_namespace": "benchmark"},
        )
        self.pid = self._process.pid
        _wait_for(self.port)
        GcsClient(f"127.0.0.1:{self.port}").internal_kv_put(b"session_name", b"benchmark", True, None, START_SECONDS)

    def _start_valkey(self, folder: Path) -> list[str]:
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError("neither valkey-server nor redis-server is installed")
        port = _free_port()
        store = Store(folder, port, "benchmark")
        self.valkey_pid = start(store.command(program))
        self._processes.append(self.valkey_pid)
        _wait_for(port)
        # Its own user may not read the server's figures.
        password = (folder / "flags").read_text().strip().partition("=")[2]
        self.valkey = redis.Redis("127.0.0.1", port, username=USER, password=password)
        return [
            "--redis_address=127.0.0.1",
            f"--redis_port={port}",
            f"--redis_username={USER}",
            f"--flagfile={folder}/flags",
        ]

    def calls(self) -> int:
        """The commands that Valkey has executed."""
        return self.valkey.info("stats")["total_commands_processed"] if self.valkey else 0

    def stop(self) -> None:
        """End the processes."""
        self._process.kill()
        self._process.wait()
        for pid in self._processes:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


@contextmanager
def server(*, stored: bool) -> Iterator[Server]:
    """A control store."""
    with tempfile.TemporaryDirectory(prefix="raydog-bench-") as folder:
        running = Server(Path(folder), stored=stored)
        try:
            yield running
        finally:
            running.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens at port {port}")
        time.sleep(0.05)


def register(running: Server, nodes: int) -> float:
    """Register so many nodes; returns the seconds that it took."""
    channel = grpc.insecure_channel(f"127.0.0.1:{running.port}")
    stub = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)

    def one(number: int) -> None:
        node = gcs_pb2.GcsNodeInfo(
            node_id=secrets.token_bytes(28),
            node_manager_address="127.0.0.1",
            node_manager_port=1,
            node_manager_hostname=f"host-{number}",
            instance_id=f"worker-{number:08x}",
            node_type_name="worker",
            raylet_socket_name=f"{SOCKETS}/raylet",
            object_store_socket_name=f"{SOCKETS}/plasma_store",
            resources_total={"CPU": 4.0, "memory": 1e10, "object_store_memory": 4e9},
            labels={"ray.io/node-group": "worker"},
        )
        stub.RegisterNode(gcs_service_pb2.RegisterNodeRequest(node_info=node), timeout=START_SECONDS)

    began = time.monotonic()
    with ThreadPoolExecutor(16) as executor:
        list(executor.map(one, range(nodes)))
    return time.monotonic() - began


def add_tasks(running: Server, tasks: int) -> None:
    """Report so many finished tasks."""
    stub = gcs_service_pb2_grpc.TaskInfoGcsServiceStub(grpc.insecure_channel(f"127.0.0.1:{running.port}"))
    job = b"\1\0\0\0"
    for first in range(0, tasks, TASKS_PER_MESSAGE):
        data = gcs_pb2.TaskEventData(job_id=job)
        for _ in range(first, min(tasks, first + TASKS_PER_MESSAGE)):
            event = data.events_by_task.add(task_id=secrets.token_bytes(20) + job, attempt_number=0, job_id=job)
            event.task_info.name = event.task_info.func_or_class_name = "work"
            event.task_info.job_id, event.task_info.task_id = job, event.task_id
        stub.AddTaskEventData(gcs_service_pb2.AddTaskEventDataRequest(data=data), timeout=START_SECONDS)


def cpu_seconds(pid: int) -> float:
    """The processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """The memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def probe(running: Server, per_second: float) -> float:
    """Connect as workers do that watch their head; returns the share of a core that it takes the control store."""
    before, began = cpu_seconds(running.pid), time.monotonic()
    for number in range(int(per_second * REST_SECONDS)):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        socket.create_connection(("127.0.0.1", running.port), START_SECONDS).close()
    return (cpu_seconds(running.pid) - before) / (time.monotonic() - began)


def measure(*, stored: bool, nodes: int, tasks: int) -> dict[str, Any]:
    """The figures of one control store."""
    with server(stored=stored) as running:
        calls = running.calls()
        seconds = register(running, nodes)
        figures: dict[str, Any] = {
            "nodes registered per second": f"{nodes / seconds:.0f}",
            "Valkey's calls per registered node": f"{(running.calls() - calls) / nodes:.2f}",
        }
        time.sleep(1)
        calls, busy = running.calls(), cpu_seconds(running.pid)
        time.sleep(REST_SECONDS)
        figures["Valkey's calls per second at rest"] = f"{(running.calls() - calls) / REST_SECONDS:.1f}"
        rest = (cpu_seconds(running.pid) - busy) / REST_SECONDS
        figures["control store at rest, share of a core"] = f"{rest:.1%}"
        rate = nodes / HEAD_POLL_SECONDS
        figures[f"the same with {rate:.0f} connections of workers per second"] = f"{probe(running, rate):.1%}"
        calls = running.calls()
        add_tasks(running, tasks)
        time.sleep(1)
        figures[f"Valkey's calls for {tasks} past tasks"] = running.calls() - calls
        figures["control store's memory (MiB)"] = f"{resident_mib(running.pid):.0f}"
        if running.valkey:
            figures["Valkey's memory (MiB)"] = f"{resident_mib(running.valkey_pid):.0f}"
            figures["of that, data (MiB)"] = f"{running.valkey.info('memory')['used_memory_dataset'] / 2**20:.1f}"
            figures["Valkey's file (MiB)"] = f"{running.valkey.info('persistence')['aof_current_size'] / 2**20:.1f}"
        return figures


def main() -> int:
    """Print a table of both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control_store")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=100_000)
    options = parser.parse_args()
    stored = measure(stored=True, nodes=options.nodes, tasks=options.tasks)
    memory = measure(stored=False, nodes=options.nodes, tasks=options.tasks)
    print(f"| {options.nodes} nodes | in Valkey | in memory |\n|---|---|---|")
    for name, figure in stored.items():
        print(f"| {name} | {figure} | {memory.get(name, '-')} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
