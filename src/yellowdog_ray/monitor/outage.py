"""A time in which the platform cannot be read: its beginning, its length and its end are logged. Changes nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0
"""How often the log says that an outage goes on."""


class Outage:
    """Remembers since when readings have failed.

    Args:
        wall: seconds since the epoch.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._since: float | None = None
        self._said = float("-inf")

    def goes_on(self, error: Exception) -> None:
        """A reading has failed."""
        now = self._wall()
        if self._since is None:
            self._since = now
        if now - self._said < REPEAT_SECONDS:
            return
        self._said = now
        logger.warning(
            "YellowDog cannot be read since %s UTC (%.0f s); the last complete listing stands and no node is ended: %s",
            time.strftime("%H:%M:%S", time.gmtime(self._since)),
            now - self._since,
            error,
        )

    def over(self) -> None:
        """A reading has succeeded."""
        if self._since is None:
            return
        logger.warning("YellowDog can be read again, after %.0f s", self._wall() - self._since)
        self._since = None
        self._said = float("-inf")
