"""Clocks of the local platform: real, accelerated, or stepped by tests. Imports nothing of the platform."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Protocol

_log = logging.getLogger(__name__)


class Timer:
    """One call that is due later; `cancel` prevents it, and has no effect afterwards."""

    __slots__ = ("_call", "cancelled")

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call
        self.cancelled = False

    def cancel(self) -> None:
        """Prevent the call."""
        self.cancelled = True
        self._call = None  # a cancelled timer stays in the heap until it is due: release its references now

    def fire(self) -> None:
        """Make the call unless it was cancelled."""
        call, self._call = self._call, None
        if call is not None:
            call()


class Clock(Protocol):
    """The platform's source of time."""

    def now(self) -> datetime:
        """The current time, in UTC."""

    def call_later(self, delay_seconds: float, call: Callable[[], None]) -> Timer:
        """Make the call once after the delay, in a thread that the clock chooses."""

    def close(self) -> None:
        """Make no further calls."""


class SteppedClock:
    """A clock that moves only by `advance`. Due calls run in order, in the thread that advances it."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)) -> None:
        self._now = start
        self._heap: list[tuple[datetime, int, Timer]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()  # HTTP handlers add timers while a test steps the clock

    def now(self) -> datetime:
        """The instant to which the clock was last moved."""
        return self._now

    def call_later(self, delay_seconds: float, call: Callable[[], None]) -> Timer:
        """Queue the call; the `advance` that passes its instant makes it."""
        timer = Timer(call)
        due = self._now + timedelta(seconds=max(0.0, delay_seconds))
        with self._lock:
            heapq.heappush(self._heap, (due, next(self._order), timer))
        return timer

    def advance(self, seconds: float = 0.0) -> None:
        """Advance by so many seconds and make every call that becomes due, also those that due calls queue."""
        end = self._now + timedelta(seconds=seconds)
        while (timer := self._next_due(end)) is not None:
            timer.fire()
        self._now = end

    def _next_due(self, end: datetime) -> Timer | None:
        with self._lock:
            if not self._heap or self._heap[0][0] > end:
                return None
            due, _, timer = heapq.heappop(self._heap)
            self._now = max(self._now, due)
            return timer

    def close(self) -> None:
        """Drop every queued call."""
        with self._lock:
            self._heap.clear()


class RealClock:
    """The machine's clock; one thread makes all calls, so a call must not block."""

    _speed = 1.0

    def __init__(self) -> None:
        # Due times count from here, in seconds of this clock: a change of the machine's date cannot move them.
        self._began = time.monotonic()
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def now(self) -> datetime:
        """The machine's current time."""
        return datetime.now(timezone.utc)

    def call_later(self, delay_seconds: float, call: Callable[[], None]) -> Timer:
        """Make the call in the clock's thread after the delay."""
        timer = Timer(call)
        with self._wake:
            if self._closed:
                return timer
            due = self._passed() + max(0.0, delay_seconds)
            heapq.heappush(self._heap, (due, next(self._order), timer))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="yellowdog-local-clock", daemon=True)
                self._thread.start()
            self._wake.notify()
        return timer

    def close(self) -> None:
        """Stop the thread, after the call that it is making."""
        with self._wake:
            self._closed = True
            self._heap.clear()
            self._wake.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while (timer := self._await_due()) is not None:
            _fire_safely(timer)

    def _await_due(self) -> Timer | None:
        with self._wake:
            while not self._closed:
                if not self._heap:
                    self._wake.wait()
                    continue
                delay = self._heap[0][0] - self._passed()
                if delay <= 0:
                    return heapq.heappop(self._heap)[2]
                self._wake.wait(min(delay / self._speed, threading.TIMEOUT_MAX))
            return None

    def _passed(self) -> float:
        """Seconds of this clock since it was constructed."""
        return (time.monotonic() - self._began) * self._speed


class AcceleratedClock(RealClock):
    """A clock that starts at the machine's time and runs faster by a factor.

    For simulated hosts only: real processes cannot be accelerated. If due calls take longer than the time between
    them, they are late, still in order.

    Args:
        speed: seconds of this clock per real second.

    Raises:
        ValueError: the speed is not a positive number.
    """

    def __init__(self, speed: float) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"a clock's speed must be a positive number of seconds per second, not {speed}")
        super().__init__()
        self._speed = speed
        self._start = datetime.now(timezone.utc)

    @property
    def speed(self) -> float:
        """Seconds of this clock per real second."""
        return self._speed

    def now(self) -> datetime:
        """The current time of this clock, in UTC."""
        return self._start + timedelta(seconds=self._passed())


def _fire_safely(timer: Timer) -> None:
    try:
        timer.fire()
    except Exception:  # noqa: BLE001  one failing call must not stop the clock for all others
        _log.exception("a timed call failed")
