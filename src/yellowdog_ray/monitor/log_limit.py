"""Limits log lines that strangers can cause, each to one per minute. Logs nothing itself."""

from __future__ import annotations

import threading
from collections.abc import Callable

MAX_KEYS = 1_000
"""Lines in one minute; above that, no further key is admitted: neither log nor memory may fill."""

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

    def admits(self, *key: str) -> bool:
        """Whether to log the line with this key now."""
        now = self._now()
        with self._lock:
            if self._is_recent(key, now):
                return False
            if len(self._logged) >= MAX_KEYS:
                self._logged = {each: time for each, time in self._logged.items() if self._is_recent(each, now)}
            if len(self._logged) >= MAX_KEYS:
                return False
            self._logged[key] = now
            return True

    def _is_recent(self, key: tuple[str, ...], now: float) -> bool:
        """Whether the line was logged in the last minute; one from the future shows that the clock was set back."""
        logged = self._logged.get(key)
        return logged is not None and 0 <= now - logged < SECONDS
