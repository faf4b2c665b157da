"""Bounds a whole call in time and bytes: a socket's own timeout restarts with every byte. Starts no thread.

Imports nothing of this package.
"""

from __future__ import annotations

import io
import socket
import time
from typing import Any


class TooLarge(Exception):
    """The answer has more bytes than a call may read."""


class Budget:
    """The time and the bytes that the call in progress may still use.

    Args:
        seconds: for a whole call, connecting included.
        size: bytes of the answers.

    Attributes:
        seconds: as given.
    """

    def __init__(self, seconds: float, size: int) -> None:
        self.seconds = seconds
        self._size = size
        self.begin()

    def begin(self) -> None:
        """Start a call."""
        self._ends = time.monotonic() + self.seconds
        self._left = self._size

    def remaining(self) -> float:
        """The seconds that are left. Raises `TimeoutError` when there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no complete answer within {self.seconds:g} s")
        return left

    def received(self, size: int) -> None:
        """Count bytes of an answer. Raises `TooLarge`."""
        self._left -= size
        if self._left < 0:
            raise TooLarge(f"the answer exceeds {self._size} bytes")


class BoundedSocket:
    """A connected socket, plain or TLS, whose operations stay within a budget.

    Args:
        wrapped: the socket.
        budget: of the call in progress.
    """

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
        """Receive bytes."""
        self.limit()
        data = self._socket.recv(size)
        self._budget.received(len(data))
        return data

    def recv_into(self, buffer: bytearray) -> int:
        """Receive bytes into a buffer. Returns how many."""
        self.limit()
        size = self._socket.recv_into(buffer)
        self._budget.received(size)
        return size

    def sendall(self, data: bytes) -> None:
        """Send all bytes. A TLS socket would apply its timeout to each part of them."""
        left = memoryview(data).cast("B")
        while left:
            self.limit()
            left = left[self._socket.send(left) :]

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """A file that reads from the socket, in binary: all that HTTP clients need."""
        return io.BufferedReader(_Reader(self._socket.makefile("rb", buffering=0), self, self._budget))

    def limit(self) -> None:
        """Apply the smaller of timeout and budget to the next operation. Raises `TimeoutError`."""
        remaining = self._budget.remaining()
        self._socket.settimeout(remaining if self._timeout is None else min(self._timeout, remaining))


class _Reader(io.RawIOBase):
    """The unbuffered file of a bounded socket."""

    def __init__(self, file: Any, owner: BoundedSocket, budget: Budget) -> None:
        self._file = file
        self._owner = owner
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._owner.limit()
        size = int(self._file.readinto(buffer) or 0)
        self._budget.received(size)
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
