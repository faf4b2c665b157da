"""The local platform over HTTP: its answers per second, lists and additions of 10,000 tasks."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ApiKey,
    ComputeRequirementTemplateUsage,
    ProvisionedWorkerPoolProperties,
    RetryProperties,
    RunSpecification,
    ServicesSchema,
    SliceReference,
    TaskGroup,
    TaskSearch,
    WorkRequirement,
)

from benchmarks.local.processes import TIMEOUT_SECONDS, Server, served
from benchmarks.local.tasks import PER_CALL, TASKS, bodies_of_tasks, tasks
from benchmarks.machine import Cores
from benchmarks.results import Report

KEY = "local"
GET_SECONDS = 2.0
CONNECTIONS = 4
WARM_UP_ROUNDS = 50


class Http:
    """Raw calls over one keep-alive connection, with the overhead of `http.client` only."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=TIMEOUT_SECONDS)
        self._headers = {"Authorization": f"yd-key {server.key_id}:{server.key_secret}"}

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of the answer, which must be 200."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:200]!r}")
        return content

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextlib.contextmanager
def _sdk(server: Server) -> Iterator[PlatformClient]:
    schema = ServicesSchema(
        defaultUrl=f"http://{server.host}:{server.port}",
        retry=RetryProperties(maxAttempts=1),
        readTimeout=timedelta(seconds=TIMEOUT_SECONDS),
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


def _timed(call: Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _get_often(server: Server, path: str) -> tuple[float, float]:
    """Calls per second, and the server's processor time per call (ms).

    Uses raw keep-alive sockets, one call at a time on each. The server always has a pending call, and the client needs
    less time per call than the server.
    """
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {server.host}",
        f"Authorization: yd-key {server.key_id}:{server.key_secret}",
    )
    call = "\r\n".join((*lines, "", "")).encode()
    with contextlib.ExitStack() as stack:
        address = (server.host, server.port)
        sockets = [stack.enter_context(socket.create_connection(address, TIMEOUT_SECONDS)) for _ in range(CONNECTIONS)]
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


def measure_http(report: Report, cores: Cores) -> None:
    """Measure all figures over HTTP once, with a fresh server on a separate core."""
    os.sched_setaffinity(0, {cores.provider})
    with served(cores.platform) as server, _sdk(server) as client:
        raw = Http(server)
        many = f"{TASKS:,} tasks in {TASKS // PER_CALL} calls"
        work_id, group_id = _work_of_one_group(client, "raw")
        bodies = bodies_of_tasks()
        path = f"/work/taskGroups/{group_id}/tasks"
        added = _timed(lambda: [raw.call("POST", path, body) for body in bodies])
        report.row(f"add {many}, raw", "s", 2.0).add(KEY, added)
        report.row(f"list {many}, raw", "s", 1.0).add(KEY, _timed(lambda: _list_raw(raw, work_id)))
        work_id, group_id = _work_of_one_group(client, "sdk")
        made, add = tasks(), client.work_client.add_tasks_to_task_group_by_id
        report.row(f"add {many}, SDK", "s", 2.0).add(KEY, _timed(lambda: [add(group_id, few) for few in made]))
        report.row(f"list {many}, SDK", "s", 1.0).add(KEY, _timed(lambda: _list_sdk(client, work_id)))
        usage = ComputeRequirementTemplateUsage("demo/local", "pool", requirementNamespace="bench")
        pool = client.worker_pool_client.provision_worker_pool(usage, ProvisionedWorkerPoolProperties())
        task_id = _first_task(raw, work_id)
        for what, path in (("task", f"/work/tasks/{task_id}"), ("worker pool", f"/workerPools/{pool.id}")):
            rate, milliseconds = _get_often(server, path)
            report.row(f"GET of one {what}", "per s", least=1_000.0).add(KEY, rate)
            report.row(f"GET of one {what}: processor time of the server", "ms", 1.0).add(KEY, milliseconds)
        raw.close()


def _first_task(http_: Http, work_id: str) -> str:
    answer = json.loads(http_.call("GET", f"/work/tasks?sliced=true&workRequirementId={work_id}&size=1"))
    return str(answer["items"][0]["id"])
