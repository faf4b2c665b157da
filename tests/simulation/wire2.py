"""The way from the provider to the platform, without sockets and threads, and with whatever goes wrong on it.

Everything above the socket is real: the SDK, requests, and urllib3 with the SDK's rules for trying again.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import Message
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError, ReadTimeoutError
from urllib3.response import HTTPResponse

from tests.simulation.processes import Processes
from tests.simulation.random_runs.scenario import CallTrouble
from tests.simulation.story import Story
from yellowdog_local.api.app import create_app
from yellowdog_local.platform import LocalPlatform
from yellowdog_ray.platform.client import READ_TIMEOUT

URL = "http://platform.test"

_JSON = {"content-type": "application/json"}
_GARBAGE = {
    "a web page": (b"<html><body>Welcome to nginx!</body></html>", {"content-type": "text/html"}),
    "half an answer": (b'{"id": "ydid:', _JSON),
    "an empty object": (b"{}", _JSON),
    "an empty list": (b"[]", _JSON),
    "null": (b"null", _JSON),
    "another thing": (b'{"errorType": "Nothing", "detail": [], "message": 3}', _JSON),
}
GARBAGE = tuple(_GARBAGE)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """Serves what urllib3 sends.

    Args:
        platform: who serves it.
        processes: who sends it.
        chance: decides which calls are struck.
        story: where trouble is told.
        wait: lets time pass.

    Attributes:
        troubles: what is wrong at the moment.
        calls: all requests, as (process, `VERB path`); those that urllib3 repeats by itself too.
    """

    def __init__(
        self,
        platform: LocalPlatform,
        processes: Processes,
        chance: random.Random,
        story: Story,
        wait: Callable[[float], None],
    ) -> None:
        self.troubles: list[CallTrouble] = []
        self.calls: list[tuple[str, str]] = []
        self._app = create_app(platform, limit_bodies=False)
        self._processes = processes
        self._chance = chance
        self._story = story
        self._wait = wait

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of urllib3's sockets."""
        wire = self

        def make_request(
            pool: HTTPConnectionPool,
            conn: HTTPConnection,
            method: str,
            url: str,
            body: bytes | None = None,
            headers: dict[str, str] | None = None,
            **_: Any,
        ) -> HTTPResponse:
            answer = wire.send(pool, conn, method, url, body or b"", headers or {})
            return HTTPResponse(
                body=io.BytesIO(answer.body),
                headers=answer.headers,
                status=answer.status,
                reason=_phrase(answer.status),
                preload_content=False,
                request_method=method,
                request_url=url,
            )

        monkeypatch.setattr(HTTPConnectionPool, "_make_request", make_request)
        monkeypatch.setattr("urllib3.util.retry.time", _Sleeper(self._wait))

    def send(
        self,
        pool: HTTPConnectionPool,
        conn: HTTPConnection,
        method: str,
        url: str,
        body: bytes,
        headers: dict[str, str],
    ) -> Answer:
        """Carry one request, if nothing goes wrong."""
        call = f"{method} {urlsplit(url).path}"
        process = self._processes.current
        if process is None:
            raise RuntimeError(f"{call} is made outside all processes")
        self.calls.append((process.name, call))
        process.calls += 1
        process.survives(applied=False)
        trouble = self._struck(call)
        if trouble is not None:
            self._story.tell(process.name, f"{call}: {trouble.kind}")
        if trouble is not None and trouble.kind == "refused":
            raise NewConnectionError(conn, "the connection is refused")
        if trouble is not None and trouble.kind == "hang":
            self._wait(_READ_SECONDS)
            raise ReadTimeoutError(pool, url, "Read timed out")
        if trouble is not None and trouble.kind == "delay":
            self._wait(self._chance.uniform(1, 15))
        if trouble is not None and not trouble.served:
            answer = self._refusal(trouble.kind)
        else:
            answer = self._serve(method, url, body, headers)
        process.survives(applied=True)
        if trouble is None or not trouble.served or trouble.kind == "delay":
            return answer
        if trouble.kind == "hang, applied":
            self._wait(_READ_SECONDS)
            raise ReadTimeoutError(pool, url, "Read timed out")
        if trouble.kind == "500, applied":
            return Answer(500, {"content-type": "application/problem+json"}, _problem(500))
        # "cut": the length is promised, and half of it comes.
        return Answer(answer.status, {**answer.headers, "content-length": str(max(1, len(answer.body)))}, b"")

    def _struck(self, call: str) -> CallTrouble | None:
        for trouble in self.troubles:
            if fnmatchcase(call, trouble.calls) and self._chance.random() < trouble.probability:
                return trouble
        return None

    def _refusal(self, kind: str) -> Answer:
        if kind in _GARBAGE:
            body, headers = _GARBAGE[kind]
            return Answer(200, headers, body)
        status, _, retry_after = kind.partition(", retry after ")
        headers = {"content-type": "application/problem+json"}
        if retry_after:
            headers["retry-after"] = retry_after
        return Answer(int(status), headers, _problem(int(status)))

    def _serve(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        parts = urlsplit(url)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(_bytes(name).lower(), _bytes(value)) for name, value in headers.items()],
            "server": ("platform.test", 80),
            "client": ("127.0.0.1", 1),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": _bytes(body), "more_body": False}

        async def keep(message: Message) -> None:
            sent.append(message)

        serving = self._app(scope, receive, keep)
        try:
            serving.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            pass
        else:
            raise RuntimeError(f"{method} {parts.path} waits for something")
        answer = {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}
        return Answer(sent[0]["status"], answer, b"".join(message.get("body", b"") for message in sent[1:]))


_READ_SECONDS = READ_TIMEOUT.total_seconds()


class _Sleeper:
    """Stands in for the module `time` where urllib3 waits between two tries."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep = sleep


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else "Error"


def _problem(status: int) -> bytes:
    return json.dumps({"type": "about:blank", "title": _phrase(status), "status": status}).encode()
