"""Tickets: each lets one worker get the cluster's token, once. Checked without memory of what was issued.

A ticket is an HMAC over the worker's node id and an expiry. So a restarted monitor accepts the tickets of the last one.
Only redemptions are recorded, in a file that is read again at the start. A line that was not written in full counts as
a redemption of every node that it names.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import threading
from collections.abc import Callable
from pathlib import Path

from yellowdog_ray.errors import RayDogError
from yellowdog_ray.private_file import write_private

_PURPOSE = b"raydog ticket 1"

_TORN = "?"
"""The end of a line that was not written in full. No complete line ends with it."""


class TicketRefused(RayDogError):
    """A ticket is not valid: forged, of another node, expired, or redeemed before."""


class TicketRedeemedTwice(TicketRefused):
    """A valid ticket was redeemed before by another process. One of the two has copied it."""


class Tickets:
    """Issues and checks the tickets of one cluster. Thread-safe.

    Args:
        secret: whoever has it can issue tickets; at least 256 bits of entropy.
        ledger: the file of redemptions; it is created with mode 0600.
        now: seconds since the epoch, by this machine's clock.
    """

    def __init__(self, secret: bytes, ledger: Path, now: Callable[[], float]) -> None:
        self._key = hmac.new(secret, _PURPOSE, hashlib.sha256).digest()
        self._ledger = ledger
        self._now = now
        self._lock = threading.Lock()
        self._redeemed: dict[str, tuple[str, int]] = {}
        self._damaged: list[str] = []
        self._read()
        self._rewrite()

    def issue(self, node_id: str, seconds: float) -> str:
        """A ticket for this node, valid for so many seconds."""
        expiry = int(self._now() + seconds)
        return f"{expiry}.{self._code(node_id, expiry)}"

    def verify(self, node_id: str, ticket: str) -> int:
        """Check a ticket, apart from earlier redemptions.

        Returns:
            Its expiry, in seconds since the epoch.

        Raises:
            TicketRefused: it is not valid.
        """
        text, _, code = ticket.partition(".")
        expiry = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
        if not hmac.compare_digest(code.encode(), self._code(node_id, expiry).encode()):
            raise TicketRefused("the ticket is not one of this cluster for this node")
        if expiry <= self._now():
            raise TicketRefused("the ticket has expired: the worker started too late after its launch")
        return expiry

    def redeem(self, node_id: str, expiry: int, nonce: str) -> None:
        """Record the redemption of a verified ticket, before the token is sent.

        Args:
            node_id: the node.
            expiry: the ticket's expiry.
            nonce: a random text of the redeeming process, which may repeat its request after a lost answer.

        Raises:
            TicketRedeemedTwice: another process has redeemed it before.
            OSError: the redemption could not be recorded, and does not count.
        """
        holder = _holder(nonce)
        with self._lock:
            if self._has_other_holder(node_id, holder):
                raise TicketRedeemedTwice("the ticket has been redeemed before")
            if node_id not in self._redeemed:
                _append(self._ledger, _line(node_id, holder, expiry))
                self._redeemed[node_id] = holder, expiry

    def is_redeemed_by_other(self, node_id: str, nonce: str) -> bool:
        """Whether another process than the one with this nonce has redeemed the node's ticket."""
        with self._lock:
            return self._has_other_holder(node_id, _holder(nonce))

    def _has_other_holder(self, node_id: str, holder: str) -> bool:
        """Whether another has redeemed the node's ticket, or may have: a damaged line counts."""
        before = self._redeemed.get(node_id)
        if before is not None:
            return before[0] != holder
        return any(node_id in line and holder not in line for line in self._damaged)

    def _code(self, node_id: str, expiry: int) -> str:
        return hmac.new(self._key, f"{node_id}|{expiry}".encode(), hashlib.sha256).hexdigest()

    def _read(self) -> None:
        """Read the recorded redemptions."""
        if not self._ledger.exists():
            return
        *lines, rest = self._ledger.read_text(errors="replace").split("\n")
        for line in [*lines, *([rest + _TORN] if rest else [])]:
            match line.split(" "):
                case [node_id, holder, expiry] if expiry.isascii() and expiry.isdecimal() and len(expiry) < 16:
                    if int(expiry) > self._now():
                        self._redeemed[node_id] = holder, int(expiry)
                case _:
                    self._damaged.append(line)

    def _rewrite(self) -> None:
        """Drop expired redemptions from the file, which would otherwise grow for the cluster's life."""
        lines = [_line(node_id, *entry) for node_id, entry in self._redeemed.items()]
        lines += [f"{line}\n" for line in self._damaged]
        with contextlib.suppress(OSError):  # the longer file has the same effect
            if lines:
                write_private(self._ledger, "".join(lines).encode())
            else:
                self._ledger.unlink(missing_ok=True)


def _holder(nonce: str) -> str:
    """A process as the file names it."""
    return hashlib.sha256(nonce.encode()).hexdigest()


def _line(node_id: str, holder: str, expiry: int) -> str:
    return f"{node_id} {holder} {expiry}\n"


def _append(ledger: Path, line: str) -> None:
    """Append a line in full, or leave the file as it is.

    Raises:
        OSError: the line could not be written.
    """
    file = os.open(ledger, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(file).st_size
        is_torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        data = (f"{_TORN}\n{line}" if is_torn else line).encode()
        written = 0
        try:
            written = os.write(file, data)
        finally:
            if written != len(data):
                os.ftruncate(file, size)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(ledger))
    finally:
        os.close(file)
