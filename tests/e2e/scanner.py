"""A program that tries to get into a Ray cluster from another host; tests copy it there. Imports nothing of RayDog.

It tries Ray's own clients, calls methods of Ray's services at every door, and requests pages at every door. A door is a
listening socket of a node. Standard input:

    {"head": address, "doors": [[address, port], ...], "token": text or null, "methods": "all" or "harmless",
     "clients": [names in CLIENTS], "seconds": limit for each client,
     "repeats_hanging": whether a client that reaches the limit is tried again}

Standard output: a JSON list of `{"attempt", "host", "port", "outcome", "detail"}`. Outcomes:

    in        the service did what was requested, or failed while it did
    metrics   the service answered with metrics
    refused   the service requires a token, or another one
    shut      no such service there, or no connection; a client that failed, whatever the reason

Code that an attempt runs on a node creates the file `~/scanned-<attempt>` there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import http.client
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

CALL_SECONDS = (5.0, 30.0)
CONNECT_SECONDS = 15.0
HOME = "/opt/yellowdog/agent"
RAY = str(Path(sys.executable).with_name("ray"))
Door = tuple[str, int]

HARMLESS = (
    "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.ObjectManagerService/Pull",
    "/ray.rpc.ReporterService/HealthCheck",
    "/ray.rpc.CoreWorkerService/NumPendingTasks",
    "/ray.rpc.RayletDriver/ClusterInfo",
)
"""One method of each service of Ray that listens on a network; a cluster survives these calls."""

NOT_IN_PYTHON = (
    "/ray.rpc.ObjectManagerService/FreeObjects",
    "/ray.rpc.ObjectManagerService/Pull",
    "/ray.rpc.ObjectManagerService/Push",
    "/ray.rpc.syncer.RaySyncer/StartSync",
)
"""Methods of Ray for which its Python package contains no stub."""

UNKNOWN_OBJECT = b"\x0a\x1c" + 28 * b"\x01" + b"\x12\x1c" + 28 * b"\x02"
"""A `PullRequest` of a node and an object that do not exist; a raylet aborts at ids of another length."""

SOME_NODE = ("node_id", 28 * "01")
"""Metadata of `StartSync`: without it Ray 2.60 aborts before it reads the token (docs/security.md)."""

PAGES = ("/metrics", "/api/jobs/", "/logs")
FORMS = ("/api/jobs/", "/api/job_agent/jobs/", "/get_or_create_runtime_env")


@dataclasses.dataclass
class Finding:
    """The outcome of one attempt at one door."""

    attempt: str
    host: str
    port: int
    outcome: str
    detail: str = ""


class Scanner:
    """Tries all calls, pages and clients, some at a time."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._head = str(given["head"])
        self._doors: list[Door] = [(host, port) for host, port in given["doors"]]
        self._token: str | None = given["token"]
        self._methods = all_methods() if given["methods"] == "all" else list(HARMLESS)
        self._names: list[str] = given["clients"]
        self._seconds = float(given["seconds"])
        self._repeats_hanging = bool(given["repeats_hanging"])

    def run(self) -> list[Finding]:
        """All findings. The worker comes last: tasks of the other clients would run on it too."""
        with ThreadPoolExecutor(2) as clients, ThreadPoolExecutor(8) as calls:
            generic = calls.map(self._at_door, self._doors)
            tried = list(clients.map(self._client, [name for name in self._names if name != "worker"]))
            found = [finding for findings in generic for finding in findings]
        return [*found, *tried, *(self._client(name) for name in self._names if name == "worker")]

    def _client(self, name: str) -> Finding:
        """One of Ray's clients; with `repeats_hanging`, again if it hangs, as Ray's proxy may (CLIENT_ATTEMPTS)."""
        finding, hangs = self._attempt(name)
        return self._attempt(name)[0] if hangs and self._repeats_hanging else finding

    def _attempt(self, name: str) -> tuple[Finding, bool]:
        """A client in a process of its own, since it may abort when it is refused; and whether it has hung."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        if self._token is not None:
            env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self._token}
        port = CLIENTS[name][1]
        command = [sys.executable, __file__, name, self._head, str(port)]
        with tempfile.TemporaryFile("w+") as output:  # not a pipe: the processes of `ray start` would keep it open
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            with suppress(subprocess.TimeoutExpired):
                process.wait(self._seconds)
            hangs = process.poll() is None
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            ended = process.wait()
            if name == "worker":
                subprocess.run([RAY, "stop", "--force"], stdout=output, stderr=output, check=False)
            output.seek(0)
            outcome = "in" if ended == 0 else "shut"
            return Finding(name, self._head, port, outcome, f"[{ended}] {output.read()[-20_000:]}"), hangs

    def _at_door(self, door: Door) -> list[Finding]:
        try:
            socket.create_connection(door, CONNECT_SECONDS).close()
        except OSError as error:
            return [Finding("connect", *door, "shut", repr(error))]
        pages = list(self._pages(door))
        speaks_http = any(re.match(r"\d+ ", page.detail) for page in pages)
        return pages if speaks_http else [*pages, *self._calls(door)]

    def _calls(self, door: Door) -> Iterator[Finding]:
        import grpc

        metadata = [SOME_NODE, *([("authorization", f"Bearer {self._token}")] if self._token is not None else [])]
        with grpc.insecure_channel(f"{door[0]}:{door[1]}") as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=CONNECT_SECONDS)
            except grpc.FutureTimeoutError:
                return  # no gRPC there
            for method in self._methods:
                code = "OK"
                for seconds in CALL_SECONDS:  # again: an agent may be slow, a stream that is open stays silent
                    code = _call(channel, method, seconds, metadata)
                    if code != "DEADLINE_EXCEEDED":
                        break
                yield Finding(method, *door, _outcome(code), code)

    def _pages(self, door: Door) -> Iterator[Finding]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token is not None else {}
        for path, body in [*((page, None) for page in PAGES), *((form, b"{}") for form in FORMS)]:
            request = urllib.request.Request(f"http://{door[0]}:{door[1]}{path}", body, headers)
            yield Finding(f"{request.get_method()} {path}", *door, *_answer(request))


def _call(channel: Any, method: str, seconds: float, metadata: list[tuple[str, str]]) -> str:
    """The name of the status of one call."""
    import grpc

    body = UNKNOWN_OBJECT if method.endswith("/Pull") else b""
    try:
        channel.unary_unary(method)(body, timeout=seconds, metadata=metadata)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def _outcome(code: str) -> str:
    return {"UNAUTHENTICATED": "refused", "UNIMPLEMENTED": "shut", "UNAVAILABLE": "shut"}.get(code, "in")


def _answer(request: urllib.request.Request) -> tuple[str, str]:
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as response:  # noqa: S310 - http only
            start = response.read(200)
            return ("metrics" if start.startswith(b"# HELP") else "in"), f"{response.status} {start!r}"
    except urllib.error.HTTPError as error:
        outcome = {401: "refused", 403: "refused", 404: "shut", 405: "shut", 501: "shut"}.get(error.code, "in")
        return outcome, f"{error.code} {error.read(200)!r}"
    except (OSError, http.client.HTTPException) as error:  # not HTTP, or no connection
        return "shut", repr(error)


def all_methods() -> list[str]:
    """The path of every method of every service of Ray."""
    spec = importlib.util.find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    stubs = (Path(spec.origin).parent / "core" / "generated").glob("*_pb2_grpc.py")
    found = {path for stub in stubs for path in re.findall(r"'(/ray\.[\w.]+/\w+)'", stub.read_text())}
    return sorted(found | set(NOT_IN_PYTHON))


# ------------------------------------------------------------------------------------------------- Ray's own clients


def store(host: str, port: int) -> None:
    """Write to the control store."""
    from ray._raylet import GcsClient

    GcsClient(address=f"{host}:{port}").internal_kv_put(b"scanned-store", b"yes", True, None)


def job(host: str, port: int) -> None:
    """Submit a job, as `ray job submit` does."""
    from ray.job_submission import JobSubmissionClient

    client = JobSubmissionClient(f"http://{host}:{port}")
    submitted = client.submit_job(entrypoint="touch ~/scanned-job")

    async def follow() -> None:
        async for _ in client.tail_job_logs(submitted):
            pass

    asyncio.run(follow())


def agent(host: str, port: int) -> None:
    """Submit a job to a node's agent, as the dashboard does."""
    from ray.dashboard.modules.job.common import JobSubmitRequest
    from ray.dashboard.modules.job.job_head import JobAgentSubmissionClient

    async def submit() -> None:
        client = JobAgentSubmissionClient(f"http://{host}:{port}")
        if "RAY_AUTH_TOKEN" in os.environ:  # Ray's client sends it from Ray 2.54 on only
            client._session.headers["Authorization"] = f"Bearer {os.environ['RAY_AUTH_TOKEN']}"
        await client.submit_job_internal(JobSubmitRequest(entrypoint="touch ~/scanned-agent"))
        await client.close()

    asyncio.run(submit())


CLIENT_ATTEMPTS = 3
"""Ray's proxy forks the server of each client while it has gRPC threads; on a busy machine the child may die (2.60)."""


def client(host: str, port: int) -> None:
    """Run a task through Ray Client."""
    import ray

    for attempts_left in reversed(range(CLIENT_ATTEMPTS)):
        try:
            ray.init(f"ray://{host}:{port}")
            break
        except ConnectionAbortedError:
            if not attempts_left:
                raise
    ray.get(ray.remote(num_cpus=0)(_mark("client")).remote())


def worker(host: str, port: int) -> None:
    """Join as a worker, and run a task on every node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    subprocess.run([RAY, "start", f"--address={host}:{port}", "--num-cpus=0"], check=True)
    ray.init(address="auto")
    task = ray.remote(num_cpus=0)(_mark("worker"))
    sys.stdout.write(f"nodes that ever joined: {len(ray.nodes())}\n")
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    ray.get([task.options(scheduling_strategy=On(node, soft=False)).remote() for node in nodes])


def _mark(attempt: str) -> Callable[[], None]:
    def mark() -> None:
        Path(HOME, f"scanned-{attempt}").touch()

    return mark


CLIENTS: dict[str, tuple[Callable[[str, int], None], int]] = {
    "worker": (worker, 6379),
    "store": (store, 6379),
    "client": (client, 10001),
    "job": (job, 8265),
    "agent": (agent, 52365),
}
"""Each client, and the port of the head that it connects to."""


def main() -> None:
    """Scan, or be one client."""
    if len(sys.argv) > 1:
        name, host, port = sys.argv[1:]
        CLIENTS[name][0](host, int(port))
        return
    findings = Scanner(json.load(sys.stdin)).run()
    json.dump([dataclasses.asdict(finding) for finding in findings], sys.stdout)


if __name__ == "__main__":
    main()
