"""Adds the `Date` of the platform's own clock to every response. ASGI middleware.

The server's own would be the machine's, which an accelerated or stepped clock does not follow.
"""

from __future__ import annotations

from email.utils import format_datetime

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yellowdog_local.state.clock import Clock


class Dated:
    """Dates responses.

    Args:
        app: the application that makes them.
        clock: the platform's clock.
    """

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["date"] = format_datetime(self._clock.now(), usegmt=True)
            await send(message)

        await self._app(scope, receive, dated)
