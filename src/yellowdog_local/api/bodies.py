"""Limits the size and the duration of request bodies. ASGI middleware; imports no services and parses nothing."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yellowdog_local.api.encoding import error_body
from yellowdog_local.api.json_input import MAX_BODY_BYTES
from yellowdog_local.errors import ApiError, BodyTimeout, BodyTooLarge

BODY_TIMEOUT_SECONDS = 60.0


class BodyLimits:
    """Refuses bodies that are too large (413) or take too long to arrive (408).

    The limits apply when the application reads the body. An unread body costs no memory: the server stops receiving it.

    Args:
        app: the application that reads the bodies.
        max_bytes: maximum size of a body as sent (bytes).
        timeout_seconds: maximum time from the first read to the end of the body.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES, timeout_seconds: float = BODY_TIMEOUT_SECONDS
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call with a limited body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limited = _LimitedBody(receive, self._max_bytes, self._timeout_seconds)
        try:
            await self._app(scope, limited.receive, send)
        except (BodyTooLarge, BodyTimeout) as error:  # raised in a middleware: routes answer their own errors
            await _refuse(error, send)


class _LimitedBody:
    """Counts the bytes and the time of one request's body."""

    def __init__(self, receive: Receive, max_bytes: int, timeout_seconds: float) -> None:
        self._receive = receive
        self._remaining_bytes = max_bytes
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._deadline: float | None = None
        self._complete = False

    async def receive(self) -> Message:
        """The next message; after the end of the body without limits.

        Raises:
            BodyTooLarge: the body exceeds its size.
            BodyTimeout: the body is not complete in time.
        """
        if self._complete:
            return await self._receive()
        message = await self._next_part()
        self._remaining_bytes -= len(message.get("body", b""))
        if self._remaining_bytes < 0:
            raise BodyTooLarge(self._max_bytes)
        self._complete = not message.get("more_body", False)
        return message

    async def _next_part(self) -> Message:
        now = asyncio.get_running_loop().time()
        # One deadline for the whole body: a timeout per part would begin anew with every byte.
        self._deadline = self._deadline or now + self._timeout_seconds
        try:
            return await asyncio.wait_for(self._receive(), max(0.0, self._deadline - now))
        except asyncio.TimeoutError:
            raise BodyTimeout(self._timeout_seconds) from None


async def _refuse(error: ApiError, send: Send) -> None:
    body = error_body(error.error_type, error.message)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
