"""Records every call of the API. ASGI middleware; changes nothing and reads no body."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache

from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yellowdog_local.call_patterns import is_private, route_name
from yellowdog_local.recording import UNANSWERED, Calls

FAULT = "raydog.fault"  # key of the scope: the id of the applied fault
NO_ROUTE = "-"
_FAILED = 500
_AGENTS = (
    ("yellowdog-sdk-python", "sdk"),
    ("raydog", "raydog"),
    ("mozilla", "browser"),
    ("python", "python"),
    ("httpx", "python"),
)


class RouteNames:
    """The names of routes."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = [(route, route_name(route.path)) for route in routes if isinstance(route, Route)]
        # A path with and without a slash at its end has one endpoint and one name.
        self._of_endpoint = {route.endpoint: name for route, name in self._routes}

    def served(self, scope: Scope) -> str:
        """The route that has served a call; costs nothing, but is set only afterwards."""
        endpoint = scope.get("endpoint")
        return NO_ROUTE if endpoint is None else self._of_endpoint.get(endpoint, NO_ROUTE)

    def find(self, scope: Scope) -> str:
        """The route that will serve a call."""
        for route, name in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return name
        return NO_ROUTE


class Recorder:
    """Records calls.

    Args:
        app: the application that serves them.
        calls: the record.
        names: the names of routes.
    """

    def __init__(self, app: ASGIApp, calls: Calls, names: RouteNames) -> None:
        self._app = app
        self._calls = calls
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call, and record it as soon as its answer is complete."""
        if scope["type"] != "http" or is_private(scope["path"]):
            await self._app(scope, receive, send)
            return
        call = _RecordedCall(self, scope, send)
        try:
            await self._app(scope, receive, call.watch)
        except Exception:
            call.failed = True  # an error of the platform's own; an outer layer answers it
            raise
        finally:
            call.end()

    def note(self, scope: Scope, status: int, seconds: float, size: int) -> None:
        """Record a call."""
        agent, length = b"", b"0"
        for name, value in scope["headers"]:
            if name == b"user-agent":
                agent = value
            elif name == b"content-length":
                length = value
        self._calls.add(
            method=scope["method"],
            path=scope["path"],
            route=self._names.served(scope) if FAULT not in scope else self._names.find(scope),
            status=status,
            milliseconds=seconds * 1000,
            bytes_in=int(length) if length.isdigit() else 0,
            bytes_out=size,
            agent=_kind(agent),
            fault=scope.get(FAULT),
        )


class _RecordedCall:
    """A call in progress."""

    __slots__ = ("_began", "_noted", "_recorder", "_scope", "_send", "_size", "_status", "failed")

    def __init__(self, recorder: Recorder, scope: Scope, send: Send) -> None:
        self.failed = False
        self._recorder = recorder
        self._scope = scope
        self._send = send
        self._began = time.perf_counter()
        self._status = UNANSWERED
        self._size = 0
        self._noted = False

    async def watch(self, message: Message) -> None:
        """Pass on a part of the answer; the call is recorded before its caller can read the record."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if _is_stream(message):
                self._note(self._status)  # it may stay open for hours
        elif message["type"] == "http.response.body":
            self._size += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._note(self._status)
        await self._send(message)

    def end(self) -> None:
        """Record a call without a complete answer."""
        self._note(_FAILED if self.failed else UNANSWERED)

    def _note(self, status: int) -> None:
        if not self._noted:
            self._noted = True
            self._recorder.note(self._scope, status, time.perf_counter() - self._began, self._size)


def _is_stream(start: Message) -> bool:
    return any(value.startswith(b"text/event-stream") for name, value in start["headers"] if name == b"content-type")


@lru_cache(maxsize=64)
def _kind(agent: bytes) -> str:
    text = agent.decode("latin-1").lower()
    return next((kind for part, kind in _AGENTS if part in text), "other")
