"""The platform's time, by the `Date` of its answers: this machine's clock may be wrong by minutes or hours.

Deadlines and notices are moments of the platform's clock, so they are compared with this one.
"""

from __future__ import annotations

import logging
import statistics
import threading
from collections import deque
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from yellowdog_ray.clock import Clock
from yellowdog_ray.platform.values import is_plausible

logger = logging.getLogger(__name__)

MIN_SAMPLES = 3
MAX_SAMPLES = 5
"""The offset is the median of the last answers: one answer with a wrong date, such as a proxy's, changes nothing."""

TOLERANCE = timedelta(seconds=5)
"""Below this difference this machine's clock is used: a `Date` has whole seconds, and an answer takes time."""

WARNING = timedelta(seconds=60)
"""The difference above which the log has a warning."""


class PlatformClock:
    """A `Clock` that shows the platform's time. Thread-safe.

    Args:
        clock: this machine's clock. A change of its date does not matter: the offset is to its monotonic time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._samples: deque[float] = deque(maxlen=MAX_SAMPLES)
        self._offset: float | None = None
        self._warned = False

    @property
    def is_set(self) -> bool:
        """Whether enough answers have shown the platform's time; before that `now` is this machine's."""
        return self._offset is not None

    def now(self) -> datetime:
        """The present moment by the platform's clock, in UTC; by this machine's before enough answers have arrived."""
        here = self._clock.now()
        if self._offset is None:
            return here
        there = datetime.fromtimestamp(self._offset + self._clock.monotonic(), timezone.utc)
        return there if abs(there - here) >= TOLERANCE else here

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait. Must not be called in the loop of Ray's autoscaler."""
        self._clock.sleep(seconds)

    def to_local(self, moment: datetime) -> datetime:
        """A moment of the platform's clock by this machine's clock, for programs that read that one."""
        return moment + (self._clock.now() - self.now())

    def observe(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Take the time from a response: a hook of `requests`. One without a usable `Date` is ignored."""
        if not response.ok:
            return
        try:
            date = parsedate_to_datetime(response.headers["Date"])
            there = date.timestamp()
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        if not is_plausible(date):
            return
        with self._lock:
            self._samples.append(there - self._clock.monotonic())
            if len(self._samples) >= MIN_SAMPLES:
                self._offset = statistics.median(self._samples)
        self._warn()

    def _warn(self) -> None:
        ahead = self._clock.now() - self.now()
        if self._warned or abs(ahead) < WARNING:
            return
        self._warned = True
        logger.warning(
            "this machine's clock is %s %s YellowDog's, whose time RayDog uses: set the clock, for example by NTP",
            timedelta(seconds=round(abs(ahead).total_seconds())),
            "ahead of" if ahead > timedelta(0) else "behind",
        )
