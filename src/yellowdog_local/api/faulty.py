"""Applies the rules for calls: refuse, serve and refuse, hang, cut, delay, drip. Middleware; imports no services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yellowdog_local.api.recorder import FAULT, RouteNames
from yellowdog_local.faults import ApplyThenFail, Cut, Delay, Drip, Faults, Hang, Hit, KeyRevoked, Status
from yellowdog_local.faults.rules import CallFault

_Headers = list[tuple[bytes, bytes]]


class FaultyCalls:
    """ASGI middleware that applies the rules for calls.

    Args:
        app: what serves calls.
        faults: the active rules.
        names: the names of routes.
    """

    def __init__(self, app: ASGIApp, faults: Faults, names: RouteNames) -> None:
        self._app = app
        self._faults = faults
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call, unless a rule applies to it."""
        if not self._faults.has_call_rules or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hit = self._faults.apply_to_call(scope["method"], scope["path"], self._names.find(scope))
        if hit is None:
            await self._app(scope, receive, send)
            return
        scope[FAULT] = hit.id
        await _FaultyCall(self._app, self._faults, scope, receive, send).apply(hit)


class _FaultyCall:
    """One call to which a rule applies. `_receive` returns its body; `_connection` only its disconnection."""

    def __init__(self, app: ASGIApp, faults: Faults, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._faults = faults
        self._scope = scope
        self._connection = receive
        self._receive = receive
        self._send = send

    async def apply(self, hit: Hit[CallFault]) -> None:
        self._receive = await _whole(self._connection)
        rule = hit.rule
        if isinstance(rule, ApplyThenFail):
            await self._serve()
            await self._answer(rule.status, *_failure(rule))
        elif isinstance(rule, Status):
            await self._answer(rule.status, *_failure(rule))
        elif isinstance(rule, KeyRevoked):
            await self._answer(401, *_refusal("UnauthorizedException", "Unauthorized: the application key was revoked"))
        elif isinstance(rule, Cut):
            await self._cut()
        elif isinstance(rule, Hang):
            await self._hang(hit.id, applied=rule.applied)
        elif isinstance(rule, Drip):
            await self._drip(hit.id, rule)
        else:
            await self._delay(hit.id, rule)

    async def _serve(self) -> list[Message]:
        """Serve the call and return its answer; of an event stream, which does not end, the first event."""
        kept: list[Message] = []
        enough = asyncio.Event()

        async def keep(message: Message) -> None:
            kept.append(message)
            if message["type"] == "http.response.body" and _is_stream(kept[0]):
                enough.set()

        serving = asyncio.ensure_future(self._app(self._scope, self._receive, keep))
        waiting = asyncio.ensure_future(enough.wait())
        try:
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()  # raises what the application has raised
        finally:
            for task in (serving, waiting):
                task.cancel()
        return kept

    async def _answer(self, status: int, headers: _Headers, body: bytes) -> None:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _cut(self) -> None:
        start, *rest = await self._serve()
        body = b"".join(message.get("body", b"") for message in rest)
        if _is_stream(start):
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            return
        # An empty answer announces one byte, so that the client misses it.
        length = str(max(1, len(body))).encode()
        headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        await self._send({**start, "headers": [*headers, (b"content-length", length)]})
        await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        # No more: the server closes the connection of an incomplete answer.

    async def _hang(self, rule_id: str, *, applied: bool) -> None:
        kept = await self._serve() if applied else []
        if not await self._wait(rule_id, None):
            return
        if applied and not _is_stream(kept[0]):
            for message in kept:
                await self._send(message)
        else:
            await self._app(self._scope, self._receive, self._send)

    async def _drip(self, rule_id: str, rule: Drip) -> None:
        start, *rest = await self._serve()
        body = b"".join(message.get("body", b"") for message in rest)
        await self._send(start)
        for place in range(len(body)):
            if not await self._wait(rule_id, rule.seconds):
                return
            await self._send({"type": "http.response.body", "body": body[place : place + 1], "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _delay(self, rule_id: str, rule: Delay) -> None:
        if await self._wait(rule_id, rule.seconds):
            await self._app(self._scope, self._receive, self._send)

    async def _wait(self, rule_id: str, seconds: float | None) -> bool:
        """Wait for a time, or until the rule is removed; whether the caller is still connected."""
        released, loop = asyncio.Event(), asyncio.get_running_loop()

        def check() -> None:
            # Called by the thread that removes a rule.
            if not self._faults.is_active(rule_id):
                loop.call_soon_threadsafe(released.set)

        self._faults.listeners.removed.append(check)
        check()
        gone = asyncio.ensure_future(self._connection())
        waiting = asyncio.ensure_future(released.wait())
        try:
            await asyncio.wait({gone, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return not gone.done()
        finally:
            self._faults.listeners.removed.remove(check)
            gone.cancel()
            waiting.cancel()


def _is_stream(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in start["headers"]
    )


async def _whole(receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Read the whole body, so that the connection can be kept; the result returns it once more."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    waiting: list[Message] = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _failure(rule: Status) -> tuple[_Headers, bytes]:
    if rule.error_type is not None:
        headers, body = _refusal(rule.error_type, rule.message)
    else:
        # The form of gateways in front of the platform.
        title = HTTPStatus(rule.status).phrase if rule.status in HTTPStatus.__members__.values() else "Error"
        problem = {"type": "about:blank", "title": title, "status": rule.status, "detail": rule.message}
        headers, body = _json(problem, b"application/problem+json")
    if rule.retry_after_seconds is not None:
        headers.append((b"retry-after", str(rule.retry_after_seconds).encode()))
    return headers, body


def _refusal(error_type: str, message: str) -> tuple[_Headers, bytes]:
    return _json({"errorType": error_type, "message": message, "detail": []}, b"application/json")


def _json(value: Any, media_type: bytes) -> tuple[_Headers, bytes]:
    return [(b"content-type", media_type)], json.dumps(value).encode()
