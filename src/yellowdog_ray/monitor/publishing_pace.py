"""When the head's state is published: soon after a change, and ever more rarely while changes go on. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable

SETTLE_SECONDS = 10.0
"""How long after a change the state is published, so that one publication holds all of one tick's decisions."""

FIRST_SECONDS = 60.0
"""Shortest time between two publications. It doubles with each, so that the portal is not flooded."""

LONGEST_SECONDS = 900.0
"""Longest time between a change and its publication; without a change for so long, the shortest time applies again.

Also the age at which a state that may explain something is published again, so that readers have a recent one.
"""


class Pace:
    """Decides when a publication is due. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._interval = 0.0
        self._published_at = self._changed_at = -math.inf
        self._waiting_since: float | None = None
        self._not_before = -math.inf

    def resume(self, now: float, ages: Iterable[float]) -> None:
        """Continue the pace of earlier processes, so that one that ends again and again does not flood the portal.

        Args:
            now: the time.
            ages: how long ago each of their latest publications was made, in seconds.
        """
        for moment in sorted(now - age for age in ages):
            if moment - self._published_at >= 2 * LONGEST_SECONDS:
                self._interval = 0.0
            self.published(moment)
            self._changed_at = moment

    def changed(self, now: float) -> None:
        """Record a change of what is to be published."""
        if now - self._changed_at >= LONGEST_SECONDS:
            self._interval = 0.0
        self._changed_at = now
        if self._waiting_since is None:
            self._waiting_since = now

    def is_due(self, now: float, *, urgent: bool = False, lasting: bool = False) -> bool:
        """Whether the state is to be published now.

        Args:
            now: the time.
            urgent: publish a change at the shortest interval.
            lasting: publish again without a change, after the longest interval.
        """
        is_old = not math.isinf(self._published_at) and now >= self._published_at + LONGEST_SECONDS
        if lasting and is_old and now >= self._not_before:
            return True
        if self._waiting_since is None or now < self._waiting_since + SETTLE_SECONDS or now < self._not_before:
            return False
        return now >= self._published_at + (min(self._interval, FIRST_SECONDS) if urgent else self._interval)

    def published(self, now: float) -> None:
        """Record a publication of everything up to now."""
        self._published_at, self._waiting_since = now, None
        self._interval = min(LONGEST_SECONDS, 2 * self._interval) or FIRST_SECONDS

    def failed(self, now: float) -> None:
        """Record a publication that failed: the next attempt follows after the shortest interval."""
        self._not_before = now + FIRST_SECONDS
