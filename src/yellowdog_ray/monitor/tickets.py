"""Tickets: each lets one worker get the cluster's token, once. Checked without memory of what was issued.

A ticket is an HMAC over the worker's node id and an expiry. So a restarted monitor accepts the tickets of the last one.
Only redemptions are recorded, in a file that is read again at the start.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from yellowdog_ray.errors import RayDogError

_PURPOSE = b"raydog ticket 1"


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
        self._redeemed = {node_id: (holder, end) for node_id, holder, end in _read(ledger) if end > now()}
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
        holder = hashlib.sha256(nonce.encode()).hexdigest()
        with self._lock:
            before = self._redeemed.get(node_id)
            if before is not None and before[0] != holder:
                raise TicketRedeemedTwice("the ticket has been redeemed before")
            if before is None:
                _append(self._ledger, node_id, holder, expiry)
                self._redeemed[node_id] = holder, expiry

    def _code(self, node_id: str, expiry: int) -> str:
        return hmac.new(self._key, f"{node_id}|{expiry}".encode(), hashlib.sha256).hexdigest()

    def _rewrite(self) -> None:
        """Drop expired redemptions from the file, which would otherwise grow for the cluster's life."""
        new = self._ledger.with_suffix(".new")
        new.unlink(missing_ok=True)
        for node_id, entry in self._redeemed.items():
            _append(new, node_id, *entry)
        if new.exists():
            new.replace(self._ledger)
        else:
            self._ledger.unlink(missing_ok=True)


def _read(ledger: Path) -> Iterator[tuple[str, str, int]]:
    """The recorded redemptions. A torn last line was never answered."""
    if ledger.exists():
        for line in ledger.read_text(errors="replace").splitlines():
            match line.split(" "):
                case [node_id, holder, expiry] if expiry.isdecimal():
                    yield node_id, holder, int(expiry)


def _append(ledger: Path, node_id: str, holder: str, expiry: int) -> None:
    file = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        line = f"{node_id} {holder} {expiry}\n".encode()
        if os.write(file, line) != len(line):
            raise OSError(f"{ledger} takes no more")
    finally:
        os.close(file)
