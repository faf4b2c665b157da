"""HTTP connections of uvicorn with a deadline for each request's header. Imports nothing of the platform.

uvicorn's own `timeout_keep_alive` begins after the first response and ends with the first byte of the next request.
Without a deadline, a client that never sends a complete header would keep its connection for ever.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

# Also the keep-alive time of idle connections. nginx and Apache httpd use the same for a request's header.
HEADER_TIMEOUT_SECONDS = 60.0


class DeadlineProtocol(H11Protocol):
    """A connection that is closed when no complete header arrives in time.

    The time begins with the connection, and again with the end of each response. It does not limit a request in
    progress: an agent's poll or an event stream may last.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time for the first header."""
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time."""
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Stop the time once a header is complete."""
        super().data_received(data)
        if self._is_serving():
            self._stop_deadline()

    def on_response_complete(self) -> None:
        """Start the time for the next header."""
        self._start_deadline()
        super().on_response_complete()
        if self._is_serving():  # the next request had already arrived
            self._stop_deadline()

    def _is_serving(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_deadline(self) -> None:
        self._stop_deadline()
        self._deadline = self.loop.call_later(HEADER_TIMEOUT_SECONDS, self.transport.close)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
