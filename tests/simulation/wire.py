"""The wire between the provider and the platform: in this process, without sockets or threads, with call faults.

Everything above the socket is real: the SDK, requests, and urllib3 with the SDK's retry rules. Time that a slow or
lost answer takes passes on the simulation's clock.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from urllib3.util.timeout import Timeout

from tests.simulation.distortions import Distortions, Manners
from tests.simulation.processes import Processes
from tests.simulation.story import Story
from tests.simulation.trouble import DISTORTED_KINDS, Rule, Trouble
from tests.simulation.violation import Violation
from yellowdog_local.api.app import create_app
from yellowdog_local.platform import LocalPlatform

DELAY_SECONDS = (1.0, 15.0)

DRIP_SECONDS = 1.0
"""Between two bytes of an answer that drips: less than any timeout of a read."""

MAX_DRIP_SECONDS = 3_600.0
"""How long an answer may drip: without a deadline for the whole call, the autoscaler's loop waits for its end."""

MAX_CALLS = 3_000
"""The maximum number of requests between two calls of `clear`: a process that sends more is in an endless loop."""

_JSON = {"content-type": "application/json"}
_WEB_PAGE = (b"<html><body>Welcome to nginx!</body></html>", {"content-type": "text/html"})
_GARBAGE = {
    "a web page": _WEB_PAGE,
    "a web page, applied": _WEB_PAGE,
    "half an answer": (b'{"id": "ydid:', _JSON),
    "an empty object": (b"{}", _JSON),
    "an empty list": (b"[]", _JSON),
    "null": (b"null", _JSON),
    "another thing": (b'{"errorType": "Nothing", "detail": [], "message": 3}', _JSON),
}

READING = ("GET ", "PUT /compute/templates/test")
"""The beginnings of requests that change nothing: a test of a template provisions nothing."""


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class _Interruption:
    """An action to run once, at a call of one process."""

    process: str
    calls: str
    applied: bool
    action: Callable[[], None]
    skip: int = 0
    done: bool = False


class Wire:
    """Serve the requests that urllib3 sends.

    Args:
        platform: serves the requests.
        processes: the simulated processes, one of which sends each request.
        chance: decides which calls are struck.
        story: takes a line for each struck call.
        wait: lets simulated time pass, in seconds.

    Attributes:
        troubles: the faults in force, in the order in which they are tried.
        calls: the requests since the last `clear`, as `VERB path`; lost requests and urllib3's own retries count.
        total: the number of requests since the beginning.
        ended_at: when a fault, or a call that one delayed, last ended, on the platform's clock.
        manners: how the platform behaves where its documentation leaves it open.
        read_seconds: how long the present call waits for a byte of its answer.
        call_seconds: how long it waits for the whole answer.
    """

    def __init__(
        self,
        platform: LocalPlatform,
        processes: Processes,
        chance: random.Random,
        story: Story,
        wait: Callable[[float], None],
    ) -> None:
        self.troubles: list[Trouble] = []
        self.calls: list[str] = []
        self.total = 0
        self.ended_at = platform.clock.now()
        self.manners = Manners()
        self.read_seconds = 0.0
        self.call_seconds = 0.0
        self._clock = platform.clock
        self._app = create_app(platform, limit_bodies=False)
        self._processes = processes
        self._chance = chance
        self._story = story
        self._wait = wait
        self._interruptions: list[_Interruption] = []
        self._distortions = Distortions(chance)
        self._late: list[Callable[[], object]] = []

    # Faults

    def add(self, trouble: Trouble) -> None:
        """Put a fault in force."""
        self.troubles.append(trouble)

    def remove(self, trouble: Trouble) -> None:
        """End a fault."""
        self.troubles.remove(trouble)
        self.ended_at = self._clock.now()

    @contextmanager
    def trouble(self, kind: str, calls: str | Rule = "*", times: int | None = None) -> Iterator[Trouble]:
        """Keep a fault in force for a block."""
        trouble = Trouble(kind, calls, times=times)
        self.add(trouble)
        try:
            yield trouble
        finally:
            self.remove(trouble)

    def losing(self, rule: str | Rule = "*") -> Any:
        """Refuse the connection of matching requests for a block, so that the platform never receives them."""
        return self.trouble("refused", rule)

    @contextmanager
    def interrupted(self, process: str, calls: str, action: Callable[[], None], *, applied: bool) -> Iterator[None]:
        """Run an action in the middle of a block: once, at the first matching call of a process.

        Args:
            process: the name of the process.
            calls: a pattern of `VERB path`.
            action: what another process does meanwhile.
            applied: run it after the platform has served the call, instead of before the call leaves.
        """
        interruption = _Interruption(process, calls, applied, action)
        self._interruptions.append(interruption)
        try:
            yield
        finally:
            self._interruptions.remove(interruption)
        assert interruption.done, f"{process} made no call {calls}"

    def at_call(
        self, number: int, process: str, calls: str, action: Callable[[], None], *, applied: bool = False
    ) -> None:
        """Run an action before or after a matching call of a process, if it makes that many; counted from 1."""
        self._interruptions.append(_Interruption(process, calls, applied=applied, action=action, skip=number - 1))

    def deliver(self) -> None:
        """Let the platform serve the requests of kind "late" that it has not received yet."""
        late, self._late = self._late, []
        for serve in late:
            serve()

    # Requests

    @property
    def changes(self) -> list[str]:
        """The requests since the last `clear` that may change something on the platform."""
        return [call for call in self.calls if not call.startswith(READING)]

    def clear(self) -> None:
        """Drop the requests so far from `calls`."""
        self.calls.clear()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace urllib3's sockets."""
        wire = self

        def make_request(
            pool: HTTPConnectionPool,
            conn: HTTPConnection,
            method: str,
            url: str,
            body: bytes | None = None,
            headers: dict[str, str] | None = None,
            *,
            timeout: Timeout,
            **_: Any,
        ) -> HTTPResponse:
            wire.read_seconds = float(timeout.read_timeout or 0)
            wire.call_seconds = getattr(conn, "seconds", MAX_DRIP_SECONDS)
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
        if hasattr(HTTPResponse, "from_httplib"):
            # urllib3 1.26, which the SDK needs on Python below 3.12, converts what `_make_request` returns.
            monkeypatch.setattr(HTTPResponse, "from_httplib", lambda response, **_: response)
        monkeypatch.setattr("urllib3.util.retry.time", _Sleeper(self._wait))
        # requests searches all of the environment for proxies at each call.
        monkeypatch.setattr("requests.sessions.get_environ_proxies", lambda *_, **__: {})

    def send(
        self,
        pool: HTTPConnectionPool,
        conn: HTTPConnection,
        method: str,
        url: str,
        body: bytes,
        headers: dict[str, str],
    ) -> Answer:
        """Carry one request, unless a fault strikes it."""
        call = f"{method} {urlsplit(url).path}"
        process = self._processes.current
        self.calls.append(call)
        self.total += 1
        if len(self.calls) > MAX_CALLS:
            raise Violation("calls", f"{process.name} makes calls without end: {self.calls[-3:]}")
        process.calls += 1
        process.survives(applied=False)
        self._interrupt(process.name, call, applied=False)
        trouble = self._struck(call)
        if trouble is None:
            answer = self._serve(method, url, body, headers)
        else:
            self._story.add(process.name, f"{call}: {trouble.kind}")
            if trouble.kind == "late":
                self._late.append(lambda: self._serve(method, url, body, headers))
            self._fail_before_the_platform(trouble, pool, conn, url)
            answer = self._serve(method, url, body, headers) if trouble.served else _refusal(trouble.kind)
        process.survives(applied=True)
        self._interrupt(process.name, call, applied=True)
        if trouble is None or not trouble.served:
            return answer
        return self._spoilt(trouble.kind, answer, pool, url)

    def _interrupt(self, process: str, call: str, *, applied: bool) -> None:
        for one in self._interruptions:
            due = one.process == process and one.applied is applied and not one.done
            if due and fnmatchcase(call, one.calls):
                one.skip -= 1
                if one.skip < 0:
                    one.done = True
                    one.action()

    def _struck(self, call: str) -> Trouble | None:
        return next((trouble for trouble in self.troubles if trouble.strikes(call, self._chance)), None)

    def _fail_before_the_platform(
        self, trouble: Trouble, pool: HTTPConnectionPool, conn: HTTPConnection, url: str
    ) -> None:
        if trouble.kind == "refused":
            raise NewConnectionError(conn, "the connection is refused")
        if trouble.kind in ("hang", "late"):
            self._hold(self.read_seconds)
            raise ReadTimeoutError(pool, url, "Read timed out")
        if trouble.kind == "delay":
            self._hold(self._chance.uniform(*DELAY_SECONDS))

    def _spoilt(self, kind: str, answer: Answer, pool: HTTPConnectionPool, url: str) -> Answer:
        """The response that replaces that of a call which was served."""
        if kind == "delay":
            return answer
        if kind == "drips":
            needed = len(answer.body) * DRIP_SECONDS
            self._hold(min(needed, self.call_seconds))
            if needed > self.call_seconds:
                raise ReadTimeoutError(pool, url, "Read timed out")
            return answer
        if kind in DISTORTED_KINDS:
            return _with_body(answer, self._distortions.distorted(kind, url, answer.body))
        if kind == "hang, applied":
            self._hold(self.read_seconds)
            raise ReadTimeoutError(pool, url, "Read timed out")
        if kind == "500, applied":
            return _problem(500)
        if kind in _GARBAGE:
            return _refusal(kind)
        # "cut": the header promises the whole body, and none of it follows.
        return Answer(answer.status, {**answer.headers, "content-length": str(max(1, len(answer.body)))}, b"")

    def _hold(self, seconds: float) -> None:
        """Delay a call by a fault, which ends no earlier than the call."""
        self._wait(seconds)
        self.ended_at = self._clock.now()

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
            raise RuntimeError(f"{method} {parts.path} waits: only faults on the wire may delay a simulated call")
        answer = {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}
        content = b"".join(message.get("body", b"") for message in sent[1:])
        shaped = self.manners.shape(f"{method} {parts.path}", content, self._clock.now())
        return _with_body(Answer(sent[0]["status"], answer, content), shaped)


class _Sleeper:
    """Stands in for the module `time` where urllib3 waits between two attempts."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep = sleep


def _with_body(answer: Answer, body: bytes) -> Answer:
    return Answer(answer.status, {**answer.headers, "content-length": str(len(body))}, body)


def _refusal(kind: str) -> Answer:
    if kind in _GARBAGE:
        body, headers = _GARBAGE[kind]
        return Answer(200, headers, body)
    status, _, retry_after = kind.partition(", retry after ")
    return _problem(int(status), {"retry-after": retry_after} if retry_after else {})


def _problem(status: int, headers: dict[str, str] | None = None) -> Answer:
    body = json.dumps({"type": "about:blank", "title": _phrase(status), "status": status}).encode()
    return Answer(status, {"content-type": "application/problem+json", **(headers or {})}, body)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else "Error"
