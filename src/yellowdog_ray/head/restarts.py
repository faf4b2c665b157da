"""When a process that died is started again, and when it has died too often. Decides only; must not start anything."""

from __future__ import annotations

from collections import deque

SHORT_LIFE_SECONDS = 20.0
"""A process that ends earlier than this after its start has crashed at its start."""

CRASH_LOOP = 6
"""So many such crashes in a row are a crash loop. Their back-offs take 31 s; workers leave after 60 s without head."""

FIRST_BACK_OFF_SECONDS = 1.0
LAST_BACK_OFF_SECONDS = 30.0

STOP_SECONDS = 10.0
"""A process that ended gracefully is started again after this time: `ray stop` ends all others meanwhile."""

WINDOW_SECONDS = 600.0
"""Restarts are counted over this time."""


class Restarts:
    """The deaths of one process, and what follows from them.

    Attributes:
        crashes: the deaths in a row that each came soon after a start.
    """

    def __init__(self) -> None:
        self.crashes = 0
        self._deaths: deque[float] = deque()

    @property
    def in_crash_loop(self) -> bool:
        """Whether the process does not get beyond its start."""
        return self.crashes >= CRASH_LOOP

    def recent(self, now: float) -> int:
        """The deaths of the last `WINDOW_SECONDS`."""
        while self._deaths and now - self._deaths[0] > WINDOW_SECONDS:
            self._deaths.popleft()
        return len(self._deaths)

    def died(self, now: float, lived: float, *, graceful: bool) -> float:
        """Count a death; returns after how many seconds to start the process again.

        Args:
            now: the time of the death.
            lived: seconds since its start.
            graceful: whether it ended as it does when it is stopped.
        """
        self._deaths.append(now)
        self.crashes = self.crashes + 1 if lived < SHORT_LIFE_SECONDS else 0
        back_off = FIRST_BACK_OFF_SECONDS * 2 ** (self.crashes - 2) if self.crashes > 1 else 0.0
        return max(min(back_off, LAST_BACK_OFF_SECONDS), STOP_SECONDS if graceful else 0.0)
