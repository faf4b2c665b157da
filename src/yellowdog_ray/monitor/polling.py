"""How often the head reads the platform: fast while something changes, slowly when nothing does. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable

BUSY_SECONDS = 1.5
"""How seldom the platform is read while nodes come or go: in a small cluster Ray looks more often than that."""

QUIET_SECONDS = 3.5
"""How seldom the platform is read while no node comes or goes. Ray looks more often, at what its users want."""

CALM_AFTER_SECONDS = 30.0
"""So long after the last change, the following are enough."""

CALM_SECONDS = 15.0
"""For reading the nodes. Nothing waits for it: Ray itself sees that a node has died, and what it wants to be made or
ended is made or ended at once."""

CALM_NOTICES_SECONDS = 4.5
"""For spot notices, the shortest of which are 30 seconds long."""


class Pace:
    """Remembers when the platform was read.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._nodes_at = self._notices_at = self._changed_at = -math.inf

    def nodes_read(self, *, changed: bool) -> None:
        """The nodes were read just now. `changed`: they are not what they were, or are about to change."""
        self._nodes_at = self._monotonic()
        if changed:
            self._changed_at = self._nodes_at

    def notices_read(self) -> None:
        """Spot notices were asked for just now."""
        self._notices_at = self._monotonic()

    def nodes_are_due(self, *, stable: bool) -> bool:
        """Whether it is time to read the nodes. `stable`: no node changes phase."""
        least = self._either(QUIET_SECONDS, CALM_SECONDS) if stable else BUSY_SECONDS
        return self._monotonic() - self._nodes_at >= least

    def notices_are_due(self) -> bool:
        """Whether it is time to ask for spot notices, where the nodes are not due."""
        return self._monotonic() - self._notices_at >= self._either(QUIET_SECONDS, CALM_NOTICES_SECONDS)

    def _either(self, quiet: float, calm: float) -> float:
        return calm if self._monotonic() - self._changed_at >= CALM_AFTER_SECONDS else quiet
