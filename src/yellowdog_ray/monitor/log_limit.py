"""Limits log lines that others can cause: each to one per minute, and all of one peer together. Logs nothing itself."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

MAX_KEYS = 1_000
"""Lines in one minute; above that, no further key is admitted: neither log nor memory may fill."""

MAX_KEYS_OF_A_PEER = 50
"""Lines in one minute that one peer can cause, so that it does not silence those of the others."""

SECONDS = 60.0


class LogLimit:
    """Admits a line once per key and minute. Thread-safe.

    Args:
        now: seconds, by any clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._logged: dict[tuple[str, ...], float] = {}
        self._shares: Counter[str] = Counter()

    def admits(self, peer: str, *line: str) -> bool:
        """Whether to log a line now.

        Args:
            peer: whoever causes it.
            line: the rest of the line's key.
        """
        now, key = self._now(), (peer, *line)
        with self._lock:
            if self._is_recent(key, now):
                return False
            if self._is_full(peer):
                self._logged = {each: time for each, time in self._logged.items() if self._is_recent(each, now)}
                self._shares = Counter(each[0] for each in self._logged)
            if self._is_full(peer):
                return False
            self._shares[peer] += key not in self._logged
            self._logged[key] = now
            return True

    def _is_full(self, peer: str) -> bool:
        return len(self._logged) >= MAX_KEYS or self._shares[peer] >= MAX_KEYS_OF_A_PEER

    def _is_recent(self, key: tuple[str, ...], now: float) -> bool:
        """Whether the line was logged in the last minute; one from the future shows that the clock was set back."""
        logged = self._logged.get(key)
        return logged is not None and 0 <= now - logged < SECONDS
