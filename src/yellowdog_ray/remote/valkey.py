"""A Valkey client whose calls are bounded in time and bytes, whatever answers at the port.

Imported at first use only: the Redis client takes 0.4 s to import, and most `ray` commands do not need it.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

T = TypeVar("T")

HOST = "127.0.0.1"


class StoreError(Exception):
    """The store did not answer in time, or its answer is unusable."""


class TooLarge(StoreError):
    """The answer has more bytes than a call may read."""


class Budget:
    """What the call in progress may still use.

    Args:
        seconds: for a whole call, connecting included.
        size: bytes of the answers.
    """

    def __init__(self, seconds: float, size: int) -> None:
        self._seconds = seconds
        self._size = size
        self.begin()

    def begin(self) -> None:
        """Start a call."""
        self._ends = time.monotonic() + self._seconds
        self._left = self._size

    def remaining(self) -> float:
        """The seconds that are left. Raises `TimeoutError` when there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no complete answer within {self._seconds:g} s")
        return left

    def received(self, size: int) -> None:
        """Count bytes of an answer. Raises `TooLarge`."""
        self._left -= size
        if self._left < 0:
            raise TooLarge(f"the answer exceeds {self._size} bytes")


class BoundedSocket:
    """A socket that the Redis client uses, within a budget. A timeout of the socket alone restarts with every byte."""

    def __init__(self, wrapped: socket.socket, budget: Budget) -> None:
        self._socket = wrapped
        self._budget = budget
        self._timeout = wrapped.gettimeout()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, seconds: float | None) -> None:
        """Set the timeout of one operation; the budget may be smaller."""
        self._timeout = seconds

    def recv(self, size: int) -> bytes:
        """Receive bytes, for the client's parser in Python."""
        self._limit()
        data = self._socket.recv(size)
        self._budget.received(len(data))
        return data

    def recv_into(self, buffer: bytearray) -> int:
        """Receive bytes, for the client's parser in C."""
        self._limit()
        size = self._socket.recv_into(buffer)
        self._budget.received(size)
        return size

    def sendall(self, data: bytes) -> None:
        """Send all bytes."""
        self._limit()
        self._socket.sendall(data)

    def _limit(self) -> None:
        remaining = self._budget.remaining()
        self._socket.settimeout(remaining if self._timeout is None else min(self._timeout, remaining))


class Valkey:
    """A connection to one port of this machine, opened at the first call and after each failure.

    Args:
        port: of the loopback interface.
        seconds: the deadline of a whole call.
        size: the bytes that a call may read.
    """

    def __init__(self, port: int, seconds: float, size: int) -> None:
        self.port = port
        budget = Budget(seconds, size)

        class BoundedConnection(redis.Connection):  # type: ignore[misc]  # the Redis client is untyped
            def _connect(self) -> Any:
                return BoundedSocket(super()._connect(), budget)

        self._budget = budget
        self._client = redis.Redis(
            connection_pool=redis.ConnectionPool(
                connection_class=BoundedConnection,
                host=HOST,
                port=port,
                # By default the client retries for seconds, in the autoscaler's loop.
                retry=Retry(NoBackoff(), 0),
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
            )
        )

    def call(self, command: Callable[[redis.Redis], T]) -> T:
        """Run one command, or several that share one budget.

        Raises:
            StoreError: no complete answer in time, or an unusable one.
        """
        self._budget.begin()
        try:
            return command(self._client)
        except StoreError:
            self.close()
            raise
        except Exception as error:  # the client's parser raises anything on bytes that are no answer of Valkey's
            self.close()
            raise StoreError(str(error)) from error

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with contextlib.suppress(redis.RedisError, OSError):
            self._client.connection_pool.disconnect()
