"""A fake platform for one agent: registers it, sends commands, records its events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
TOKEN = "token-1"


class FakeEndpoint:
    """Answers one agent; a context manager.

    Args:
        address: where to listen.
        token: the token that is accepted.
        grace: the abort grace that agents receive (seconds).
    """

    def __init__(self, address: str = "127.0.0.1", token: str = TOKEN, grace: float = 30.0) -> None:
        self.token = token
        self.grace = grace
        self.registrations: list[Json] = []
        self.waits: list[float] = []  # how long each poll was to wait
        self.events: list[Json] = []
        self.failures: list[int] = []
        self.gone = False
        self._commands: list[Json] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer((address, 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://{address}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    orders: Json = {}  # what else the answer to a registration says

    def __enter__(self) -> FakeEndpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_node()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def command(self, kind: str, **details: object) -> None:
        with self._changed:
            self._commands.append({"sequence": len(self._commands) + 1, "type": kind, **details})
            self._changed.notify_all()

    def run_task(self, script: str, task_id: str = "ydid:task:0:1:1:1", **details: object) -> None:
        task: Json = {
            "taskId": task_id,
            "attempt": 0,
            "slot": 1,
            "taskGroupId": "ydid:taskgrp:0:1:1",
            "taskType": "bash",
            "arguments": ["taskdata.txt"],
            "environment": {},
            "taskData": script,
        }
        self.command("RUN_TASK", task=task | details)

    def end_node(self) -> None:
        with self._changed:
            self.gone = True
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], Any], timeout: float = 20.0) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                assert left > 0, f"never happened; events so far: {self.events}"
                self._changed.wait(min(left, 0.05))

    def finished(self, task_id: str = "ydid:task:0:1:1:1") -> Json:
        """Wait for the FINISHED event of a task."""

        def found() -> list[Json]:
            return [e for e in self.events if e["type"] == "FINISHED" and e["taskId"] == task_id]

        self.wait_for(found)
        return found()[0]

    def answer(self, method: str, target: str, token: str | None, body: Json | None) -> tuple[int, Json]:
        with self._changed:
            if self.failures:
                return self.failures.pop(0), {}
            if token != f"yd-agent {self.token}":
                return 401, {"message": "unknown token"}
            if self.gone:
                return 410, {}
            parts = urlsplit(target)
            if parts.path == "/agent/register":
                self.registrations.append(body or {})
                self._changed.notify_all()
                answer = {"nodeId": "node-1", "heartbeatSeconds": 10.0, "abortGraceSeconds": self.grace, **self.orders}
                return 200, answer
            if parts.path == "/agent/nodes/node-1/events" and body:
                self.events += body["events"]
                self._changed.notify_all()
                return 200, {}
            if parts.path == "/agent/nodes/node-1/commands":
                return self._poll(parse_qs(parts.query))
            return 404, {"message": f"{method} {target}"}

    def _poll(self, query: dict[str, list[str]]) -> tuple[int, Json]:
        after, wait = int(query["after"][0]), float(query["wait"][0])
        self.waits.append(wait)
        deadline = time.monotonic() + wait
        while not self.gone:
            new = [command for command in self._commands if command["sequence"] > after]
            left = deadline - time.monotonic()
            if new or left <= 0:
                return 200, {"commands": new}
            self._changed.wait(left)
        return 410, {}


def _handler(endpoint: FakeEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = endpoint.answer(self.command, self.path, self.headers.get("Authorization"), body)
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = _serve  # noqa: N815 (names that the base class calls)

        def log_message(self, *_: object) -> None:
            """No log."""

    return Handler
