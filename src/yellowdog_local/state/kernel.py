"""The platform's lock, with the timers, effects and scheduling passes around it. Imports no record and no service.

Three rules prevent deadlocks and half-made changes. Every change happens under the lock. A call that may call back
into the platform (hosts, agents) is an *effect*, run in order after the lock is released. The scheduler's pass runs
once, before the outermost holder releases the lock.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from yellowdog_local.state.clock import Clock, Timer
from yellowdog_local.state.settings import Settings

_log = logging.getLogger(__name__)


class Kernel:
    """Lock, time and deferred work, shared by all services of one platform.

    Args:
        clock: the source of time.
        settings: the platform's settings.
        run_pass: the scheduler's pass, called under the lock.
    """

    def __init__(self, clock: Clock, settings: Settings, run_pass: Callable[[], None]) -> None:
        self.clock = clock
        self.settings = settings
        self.random = random.Random(settings.random_seed)  # noqa: S311  simulates variance, protects nothing
        self._run_pass = run_pass
        self._lock = threading.RLock()
        self._depth = 0
        self._pass_wanted = False
        self._effects: deque[Callable[[], None]] = deque()
        self._draining = threading.Lock()
        self.sequence = 0
        # The creation time of each sequence number, oldest first; kept only while a listing-lag fault needs it.
        self.made: list[tuple[datetime, int]] | None = None
        self._epoch = 0
        self._watchers: set[Callable[[], None]] = set()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock; the outermost release runs the scheduler's pass, then the effects."""
        with self._lock:
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._run_passes()
            finally:
                self._depth -= 1
                outermost = self._depth == 0
        if outermost:
            self._drain()

    def want_pass(self) -> None:
        """Request a scheduler pass, once, after the current change is complete."""
        self._pass_wanted = True

    def defer(self, effect: Callable[[], None]) -> None:
        """Run an effect outside the lock, after all effects that were deferred before it."""
        self._effects.append(effect)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call under the lock after so many seconds."""
        epoch = self._epoch

        def fire() -> None:
            with self.locked():
                # It may have been cancelled while this thread waited for the lock.
                if not timer.cancelled and epoch == self._epoch:
                    call()

        timer = self.clock.call_later(seconds, fire)
        return timer

    def now(self) -> datetime:
        """The current time, in milliseconds: the resolution of the wire."""
        now = self.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def next_sequence(self) -> int:
        """The next number in the order of creation."""
        self.sequence += 1
        if self.made is not None:
            self.made.append((self.clock.now(), self.sequence))
        return self.sequence

    def cancel_timers(self) -> None:
        """Cancel every timer that is still due."""
        self._epoch += 1

    @contextmanager
    def watching(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake`, under the lock, after every change; it must return at once."""
        with self._lock:
            self._watchers.add(wake)
        try:
            yield
        finally:
            with self._lock:
                self._watchers.discard(wake)

    def wake_watchers(self) -> None:
        """Call every watcher as if something had changed."""
        with self._lock:
            for wake in tuple(self._watchers):
                wake()

    def _run_passes(self) -> None:
        if not self._pass_wanted:
            return
        while self._pass_wanted:
            self._pass_wanted = False
            self._run_pass()
        self.wake_watchers()

    def _drain(self) -> None:
        # One thread drains at a time, so that effects keep their order. A thread that finds another one draining leaves
        # its effects to that one, which checks again after it has released the lock of draining.
        while self._effects and self._draining.acquire(blocking=False):
            try:
                self._drain_all()
            finally:
                self._draining.release()

    def _drain_all(self) -> None:
        while self._effects:
            _run_safely(self._effects.popleft())


def _run_safely(effect: Callable[[], None]) -> None:
    try:
        effect()
    except Exception:  # noqa: BLE001  an effect concerns one host or agent; all others continue
        _log.exception("a call to a host or an agent failed")
