"""Logs failed readings: an outage with its start, duration and end; an unexpected error with its traceback.

Changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from yellowdog_ray.errors import PlatformError
from yellowdog_ray.seen_errors import DistinctErrors

logger = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0
"""How often an outage that continues is logged."""


class UnexpectedErrors:
    """Logs exceptions that no failure of the platform explains, once per line of code."""

    def __init__(self) -> None:
        self._errors = DistinctErrors()

    def report(self, error: Exception) -> None:
        """Log an unexpected error: the first time with its traceback."""
        if self._errors.is_new(error):
            logger.error(
                "a bug in RayDog: the last complete listing stands and no node is terminated; please report it",
                exc_info=error,
            )


class Outage:
    """Tracks how long readings of the platform have failed.

    Args:
        wall: seconds since the epoch.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._unexpected = UnexpectedErrors()
        self._since: float | None = None
        self._logged_at = float("-inf")

    def failed(self, error: Exception) -> None:
        """Record a failed reading; only a `PlatformError` is an outage."""
        if not isinstance(error, PlatformError):
            self._unexpected.report(error)
            return
        now = self._wall()
        if self._since is None:
            self._since = now
        if now - self._logged_at < REPEAT_SECONDS:
            return
        self._logged_at = now
        logger.warning(
            "YellowDog cannot be read since %s UTC (%.0f s); the last complete listing stands and no node is"
            " terminated: %s",
            time.strftime("%H:%M:%S", time.gmtime(self._since)),
            now - self._since,
            error,
        )

    def succeeded(self) -> bool:
        """Record a successful reading. Returns whether it ends an outage."""
        if self._since is None:
            return False
        logger.warning("YellowDog can be read again, after %.0f s", self._wall() - self._since)
        self._since = None
        self._logged_at = float("-inf")
        return True
