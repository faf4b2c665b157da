"""The intervals at which the head polls the platform: short while nodes change phase, long while stable. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable

BUSY_SECONDS = 1.5
"""Minimum seconds between two readings while nodes change phase, and before a failed reading of the spot notices is
repeated. In a small cluster Ray polls more often."""

QUIET_SECONDS = 3.5
"""Minimum seconds between two readings while nodes are stable. Ray polls its own demand more often."""

CALM_AFTER_SECONDS = 30.0
"""Seconds without a change after which the following, longer intervals apply."""

CALM_SECONDS = 15.0
"""Interval of readings. No act depends on it: Ray itself detects the death of a node, and launches and terminations
run at once."""

CALM_SPOT_NOTICES_SECONDS = 4.5
"""Interval of requests for spot notices, whose shortest warning time is 30 seconds. Before, it is `QUIET_SECONDS`."""


class PollingSchedule:
    """Decides when a reading of the platform is due.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._listing_at = self._duties_at = self._spot_notices_at = self._changed_at = -math.inf

    def listing_done(self, *, changed: bool) -> None:
        """Record a reading of the nodes. `changed`: the snapshot is another one, or nodes change phase."""
        self._listing_at = self._monotonic()
        if changed:
            self._changed_at = self._listing_at

    def duties_done(self) -> None:
        """Record a run of the duties."""
        self._duties_at = self._monotonic()

    def spot_notices_read(self) -> None:
        """Record a reading of the spot notices that has succeeded."""
        self._spot_notices_at = self._monotonic()

    def is_listing_due(self, *, stable: bool) -> bool:
        """Whether a reading of the nodes is due. `stable`: no node changes phase."""
        least = self._interval(QUIET_SECONDS, CALM_SECONDS) if stable else BUSY_SECONDS
        return self._monotonic() - self._listing_at >= least

    def are_spot_notices_due(self) -> bool:
        """Whether a reading of the spot notices is due although one of the nodes is not."""
        now = self._monotonic()
        is_old = now - self._spot_notices_at >= self._interval(QUIET_SECONDS, CALM_SPOT_NOTICES_SECONDS)
        return is_old and now - self._duties_at >= BUSY_SECONDS

    def _interval(self, quiet: float, calm: float) -> float:
        return calm if self._monotonic() - self._changed_at >= CALM_AFTER_SECONDS else quiet
