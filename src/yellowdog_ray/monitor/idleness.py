"""For how long a cluster has been idle, and when it ends for it: announced in the log. Requests nothing of YellowDog.

The time counts on the monotonic clock, from the first reading of this process that shows an idle cluster. Anything
that cannot be read counts as use. So a cluster never ends earlier than promised, whatever happens to clocks, to Ray or
to this process.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta

from yellowdog_ray.monitor.ray_use import RayUse

logger = logging.getLogger(__name__)

READ_SECONDS = 5.0
"""Minimum seconds between two readings of an idle cluster."""

USED_READ_SECONDS = 15.0
"""Minimum seconds between two readings of a cluster in use: the end of the use may be read later, never earlier."""

MAX_GAP_SECONDS = 60.0
"""Seconds without a reading after which the time begins anew: somebody may have logged in and out meanwhile. The
control store shows a driver that came and went, and nothing shows such a session."""

ANNOUNCED_SECONDS = (600.0, 300.0, 60.0)
"""Seconds before the end at which a warning is logged; the first one is logged at half of the time."""


class Idleness:
    """Watches the use of one cluster.

    Args:
        minutes: the minutes after which an idle cluster ends; None if it does not.
        ray_use: reads the use from Ray; None without an answer.
        sessions: counts the SSH sessions on the head.
        monotonic: seconds that never go back.
        now: the platform's time, for messages.
        publish: publishes the announced end on the platform, or withdraws it: None.
    """

    def __init__(
        self,
        minutes: Callable[[], float | None],
        ray_use: Callable[[], RayUse | None],
        sessions: Callable[[], int],
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
        publish: Callable[[str | None, datetime | None], None] = lambda *_: None,
    ) -> None:
        self._minutes = minutes
        self._ray_use = ray_use
        self._sessions = sessions
        self._monotonic = monotonic
        self._now = now
        self._publish = publish
        self._since: float | None = None
        self._read_at = -math.inf
        self._drivers: frozenset[bytes] | None = None
        self._announced = math.inf
        self._is_final = False

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end, as last read; None if the cluster is in use, or never ends for being idle."""
        if self._is_final:
            return 0.0
        minutes = self._minutes()
        if minutes is None or self._since is None:
            return None
        return max(0.0, self._since + minutes * 60 - self._monotonic())

    def begin_anew(self) -> None:
        """Count from the next reading on: the settings have changed."""
        if not self._is_final:
            self._in_use("another `ray up`")

    def end(self) -> None:
        """Read no more: the end has begun and cannot be withdrawn, whoever uses the cluster now."""
        self._is_final = True

    def tick(self) -> None:
        """Read the use if that is due, and announce an end that approaches."""
        if self._is_final:
            return
        interval = USED_READ_SECONDS if self._since is None else READ_SECONDS
        if self._minutes() is not None and self._monotonic() - self._read_at >= interval:
            self._read()

    def is_over(self) -> bool:
        """Whether the cluster has been idle for so long that it ends. Reads its use once more, at the last moment."""
        if self.seconds_left != 0.0:
            return False
        if not self._is_final:
            self._read()
        return self.seconds_left == 0.0

    def _read(self) -> None:
        now = self._monotonic()
        if now - self._read_at > MAX_GAP_SECONDS:
            self._in_use("no reading for a while")
        self._read_at = now
        if what := self._use():
            self._in_use(what)
            return
        if self._since is None:
            self._since, self._announced = now, math.inf
        self._announce()

    def _use(self) -> str:
        """The use of the cluster now, or since the last reading, in words; empty without use."""
        if sessions := self._sessions():
            return f"{sessions} SSH session{'s' * (sessions != 1)} on the head"
        use = self._ray_use()
        if use is None:
            return "no answer from Ray"
        is_new = self._drivers is not None and not use.drivers <= self._drivers
        self._drivers = use.drivers
        return use.what or ("a driver that has ended since the last reading" if is_new else "")

    def _in_use(self, what: str) -> None:
        if self._since is not None and self._announced < math.inf:
            logger.warning("the cluster is in use again (%s), and does not end", what)
            self._publish(None, None)
        self._since = None

    def _announce(self) -> None:
        left, minutes = self.seconds_left, self._minutes()
        if left is None or minutes is None:
            return
        marks = [minutes * 30, *(mark for mark in ANNOUNCED_SECONDS if mark < minutes * 30)]
        reached = min((mark for mark in marks if left <= mark), default=math.inf)
        if reached >= self._announced or left == 0.0:
            return
        end, since = self._now() + timedelta(seconds=left), self._now() - timedelta(seconds=minutes * 60 - left)
        if self._announced == math.inf:
            self._publish(f"idle since {since:%H:%M} UTC; ends at {end:%H:%M} UTC unless it is used", end)
        self._announced = reached
        logger.warning(
            "the cluster is idle, and ends in %s, at %s UTC, unless it is used. There is no driver, actor, waiting "
            "demand or SSH session since %s UTC (provider.idle_termination_minutes)",
            f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s",
            f"{end:%H:%M:%S}",
            f"{since:%H:%M:%S}",
        )
