"""How often the head polls the platform: often while nodes change phase, rarely while they are stable. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable

BUSY_SECONDS = 1.5
"""Minimum seconds between two readings while nodes change phase. In a small cluster Ray polls more often."""

QUIET_SECONDS = 3.5
"""Minimum seconds between two readings while nodes are stable. Ray polls its own demand more often."""

CALM_AFTER_SECONDS = 30.0
"""Seconds without a change after which the following, longer intervals apply."""

CALM_SECONDS = 15.0
"""Interval of readings. Nothing waits for one: Ray itself detects the death of a node, and launches and terminations
are carried out at once."""

CALM_NOTICES_SECONDS = 4.5
"""Interval of requests for spot notices, of which the shortest give 30 seconds."""


class Pace:
    """Decides when the platform is due to be read.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._nodes_at = self._notices_at = self._changed_at = -math.inf

    def nodes_read(self, *, changed: bool) -> None:
        """Note a reading of the nodes. `changed`: the snapshot is another one, or nodes change phase."""
        self._nodes_at = self._monotonic()
        if changed:
            self._changed_at = self._nodes_at

    def notices_read(self) -> None:
        """Note a request for spot notices."""
        self._notices_at = self._monotonic()

    def nodes_are_due(self, *, stable: bool) -> bool:
        """Whether a reading of the nodes is due. `stable`: no node changes phase."""
        least = self._either(QUIET_SECONDS, CALM_SECONDS) if stable else BUSY_SECONDS
        return self._monotonic() - self._nodes_at >= least

    def notices_are_due(self) -> bool:
        """Whether spot notices are due, where the nodes are not."""
        return self._monotonic() - self._notices_at >= self._either(QUIET_SECONDS, CALM_NOTICES_SECONDS)

    def _either(self, quiet: float, calm: float) -> float:
        return calm if self._monotonic() - self._changed_at >= CALM_AFTER_SECONDS else quiet
