"""Serves a platform over HTTP, in the calling thread or, for tests, in one of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import uvicorn

from yellowdog_local.api.app import create_app
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.service.connections import HEADER_TIMEOUT_SECONDS, DeadlineProtocol

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.2


class _Server(uvicorn.Server):
    """uvicorn, told to stop by us: it may run outside the main thread, where there are no signals."""

    def __init__(self, platform: LocalPlatform) -> None:
        self._app = create_app(platform)
        self._faults = platform.faults
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            http=DeadlineProtocol,
            timeout_keep_alive=int(HEADER_TIMEOUT_SECONDS),
        )
        super().__init__(config)

    def stop(self) -> None:
        """Stop soon: open long polls are answered and event streams ended first."""
        self._app.state.agents.stop()
        self._app.state.streams.stop()
        self._faults.clear()  # calls that hang are let go
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer takes 40 ms.
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
    """Serve a platform until `stop` is set. `ready` is called once with the URL; port 0 takes a free one.

    The platform is not closed: whoever made it does that.
    """
    thread = ServerThread(platform, host, port)
    with thread:
        ready(thread.url)
        # Waits in steps, so that a signal handler of the main thread gets its turn, and a dead server is noticed.
        while not stop.wait(_POLL_SECONDS):
            thread.check()


class ServerThread:
    """A server in a thread of its own: a context manager with a `url`."""

    def __init__(self, platform: LocalPlatform, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = _listen(host, port)
        self.url = _url(self._listener)
        self._server = _Server(platform)
        self._thread = threading.Thread(target=self._run, name="yellowdog-local-http", daemon=True)
        self._ended = threading.Event()

    def __enter__(self) -> ServerThread:
        """Start; connections are accepted from now on."""
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop, and wait until the thread has ended."""
        self._server.stop()
        self._thread.join(_STOP_SECONDS)
        self._listener.close()

    def check(self) -> None:
        """Raise if the server has ended by itself."""
        if self._ended.is_set():
            raise RuntimeError("the HTTP server has ended unexpectedly; see the log")

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._ended.set()
