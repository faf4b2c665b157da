"""Serves a platform over HTTP, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from yellowdog_local.api.app import create_app
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.service.connections import HEADER_TIMEOUT_SECONDS, DeadlineProtocol

_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.2
_DRAIN_SECONDS = 1.0  # for calls in progress when the server stops
_DRAIN_POLL_SECONDS = 0.002


class _Server(uvicorn.Server):
    """uvicorn with a `stop` method: outside the main thread it receives no signals.

    uvicorn itself polls every 0.1 s for its end, then sleeps for 0.1 s. This server ends as soon as its calls have.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, platform: LocalPlatform) -> None:
        self._app = create_app(platform)
        self._faults = platform.faults
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            date_header=False,  # `api.dated` sends the platform's
            lifespan="off",
            http=DeadlineProtocol,
            timeout_keep_alive=int(HEADER_TIMEOUT_SECONDS),
        )
        super().__init__(config)
        self._stopped = asyncio.Event()

    async def main_loop(self) -> None:
        """Set the default headers, then wait for `stop`."""
        self._loop = asyncio.get_running_loop()
        if not await self.on_tick(0):
            await self._stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and wait for calls in progress; the end of the loop cancels the others."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _DRAIN_SECONDS
        while (self.server_state.connections or self.server_state.tasks) and loop.time() < deadline:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def stop(self) -> None:
        """Stop soon; answer open long polls and end event streams first."""
        self._app.state.agents.stop()
        self._app.state.streams.stop()
        self._faults.clear()  # serves hanging calls
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the server has ended by itself
                self._loop.call_soon_threadsafe(self._stopped.set)


def _listen(host: str, port: int) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY; without it every answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


def serve(platform: LocalPlatform, host: str, port: int, ready: Callable[[str], None], stop: threading.Event) -> None:
    """Serve a platform until `stop` is set. Does not close the platform.

    Args:
        platform: the platform.
        host: the address to listen on.
        port: the port to listen on; 0 for a free one.
        ready: called once, with the URL.
        stop: the event that stops the server.
    """
    thread = ServerThread(platform, host, port)
    with thread:
        ready(thread.url)
        # In steps, so that signal handlers of the main thread run, and the end of the server is detected.
        while not stop.wait(_POLL_SECONDS):
            thread.check()


class ServerThread:
    """A server in a thread of its own, as a context manager; `url` is its URL."""

    def __init__(self, platform: LocalPlatform, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = _listen(host, port)
        self.url = _url(self._listener)
        self._server = _Server(platform)
        self._thread = threading.Thread(target=self._run, name="yellowdog-local-http", daemon=True)
        self._ended = threading.Event()

    def __enter__(self) -> ServerThread:
        """Start the server."""
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop the server and wait for its thread."""
        self._server.stop()
        self._thread.join(_STOP_SECONDS)
        self._listener.close()

    def check(self) -> None:
        """Check that the server runs.

        Raises:
            RuntimeError: it has ended by itself.
        """
        if self._ended.is_set():
            raise RuntimeError("the HTTP server has ended unexpectedly; see the log")

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._ended.set()
