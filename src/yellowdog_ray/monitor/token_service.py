"""The token service: sends the cluster's token to workers that show a valid ticket, over TLS. Runs on the head only.

Anybody in the network can connect. So connections are few, also for each address, short, and bounded in size; and a
stranger causes no platform call.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from yellowdog_ray.seen_errors import DistinctErrors

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
MAX_CONNECTIONS_PER_ADDRESS = 8
"""Connections above these are closed at once: workers try again."""

CONNECTION_SECONDS = 5.0
"""The time that a connection has as a whole, its TLS handshake included; more only for a long answer."""

_BYTES_PER_SECOND = 256 * 1024
_MAX_SECONDS = 150.0

MAX_REQUEST = 2_048
"""Bytes of a request; a real one has about 250."""

_PAUSE_SECONDS = 0.1

Answer = Mapping[str, str]


def answer_seconds(size: int) -> float:
    """The time that a connection has whose answer has `size` bytes. Only carriers get long ones."""
    return min(CONNECTION_SECONDS + size / _BYTES_PER_SECOND, _MAX_SECONDS)


class TokenService:
    """A TLS server in threads of this process.

    Args:
        context: the TLS settings.
        answer: answers one request of a node: its content, and the address that it comes from.
        port: the port, on all addresses; 0 for a free one.

    Attributes:
        port: the port that is used.
    """

    def __init__(self, context: ssl.SSLContext, answer: Callable[[Mapping[str, str], str], Answer], port: int) -> None:
        self._context = context
        self._answer = answer
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()
        self._errors = DistinctErrors()
        self._closed = threading.Event()
        self._listener = socket.create_server(("", port), backlog=MAX_CONNECTIONS)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept_all, name="raydog-token-service", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept no more connections. Open ones end within `answer_seconds`."""
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # `close` alone does not wake a thread that accepts
        self._listener.close()
        self._thread.join()

    def _accept_all(self) -> None:
        while not self._closed.is_set():
            try:
                connection, address = self._listener.accept()
            except OSError:  # the peer has gone, or there are no more file descriptors
                self._closed.wait(_PAUSE_SECONDS)
                continue
            self._begin(connection, str(address[0]))

    def _begin(self, connection: socket.socket, address: str) -> None:
        """Answer a connection in a thread of its own, or close it."""
        with self._lock:
            if self._open.total() >= MAX_CONNECTIONS or self._open[address] >= MAX_CONNECTIONS_PER_ADDRESS:
                connection.close()
                return
            self._open[address] += 1
        thread = threading.Thread(target=self._serve, args=(connection, address), name="raydog-token", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads
            connection.close()
            self._ended(address)

    def _ended(self, address: str) -> None:
        with self._lock:
            self._open[address] -= 1
            self._open += Counter()  # drops addresses without connections

    def _serve(self, connection: socket.socket, address: str) -> None:
        began = time.monotonic()
        try:
            with connection:
                connection.settimeout(CONNECTION_SECONDS)
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    request = _read_request(secure, began + CONNECTION_SECONDS)
                    answer = json.dumps(self._answer(request, address)).encode() + b"\n"
                    secure.settimeout(max(began + answer_seconds(len(answer)) - time.monotonic(), _PAUSE_SECONDS))
                    secure.sendall(answer)
        except (OSError, ValueError) as error:
            logger.debug("a connection to the token service from %s failed: %s", address, error)
        except Exception as error:  # a mistake of ours in one answer must not end the service
            if self._errors.is_new(error):
                logger.warning("the token service could not answer %s", address, exc_info=error)
        finally:
            self._ended(address)


def _read_request(connection: ssl.SSLSocket, deadline: float) -> dict[str, str]:
    """One line with a JSON object of texts.

    Raises:
        OSError: it did not come in time.
        ValueError: it is something else.
    """
    data = b""
    while not data.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the request did not come in time")
        connection.settimeout(remaining)
        received = connection.recv(MAX_REQUEST + 1 - len(data))
        data += received
        if not received or len(data) > MAX_REQUEST:
            raise ValueError("no request, or one that is too long")
    try:
        request: Any = json.loads(data)
    except RecursionError as error:
        raise ValueError("a request of another shape") from error
    if not isinstance(request, dict) or not all(isinstance(value, str) for value in request.values()):
        raise ValueError("a request of another shape")
    return request
