"""A server that is none of ours: it sends bytes to whoever connects, whatever it receives."""

import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

DRIP_SECONDS = 0.05
"""Between two bytes of an answer that drips."""


DRIPS = 100


def dripping() -> Iterator[bytes]:
    """Many bytes, one at a time: for much longer than a test's deadline, but not for ever."""
    for _ in range(DRIPS):
        time.sleep(DRIP_SECONDS)
        yield b"x"


@contextmanager
def foreign_server(
    answers: Callable[[], Iterable[bytes]], tls: ssl.SSLContext | None = None, *, keeps_open: bool = False
) -> Iterator[int]:
    """Run a server. Yields its port.

    Args:
        answers: makes the pieces of an answer.
        tls: if given, the server's side of TLS.
        keeps_open: whether it answers further requests on the same connection.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                connection = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                while connection.recv(65536):
                    for data in answers():
                        connection.sendall(data)
                    if not keeps_open:
                        break

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running.server_address[1]
        running.shutdown()
        thread.join()
