from __future__ import annotations

import random
import threading
import time

import pytest

from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.clock import AcceleratedClock, RealClock, SteppedClock


def test_due_calls_run_in_order_of_time() -> None:
    clock, made = SteppedClock(), []
    clock.call_later(2, lambda: made.append("second"))
    clock.call_later(1, lambda: made.append("first"))
    clock.advance(1.5)
    assert made == ["first"]
    clock.advance(1)
    assert made == ["first", "second"]


def test_due_call_queued_by_another_runs_in_the_same_advance() -> None:
    clock, times = SteppedClock(), []
    start = clock.now()
    clock.call_later(1, lambda: clock.call_later(1, lambda: times.append((clock.now() - start).total_seconds())))
    clock.advance(5)
    assert times == [2.0]


def test_cancelled_call_never_runs() -> None:
    clock, made = SteppedClock(), []
    clock.call_later(1, lambda: made.append(1)).cancel()
    clock.advance(2)
    assert made == []


def test_real_clock_continues_after_a_failing_call() -> None:
    clock, done = RealClock(), threading.Event()
    clock.call_later(0, lambda: 1 / 0)
    clock.call_later(0.01, done.set)
    assert done.wait(5)
    clock.close()


def test_closed_real_clock_has_no_calls_and_no_thread() -> None:
    clock, made = RealClock(), threading.Event()
    clock.call_later(60, made.set)
    clock.close()
    assert not made.is_set()
    assert not clock._heap
    assert not any(thread.name == "yellowdog-local-clock" for thread in threading.enumerate())


def test_accelerated_clock_runs_at_its_speed_and_never_backwards() -> None:
    clock = AcceleratedClock(1_000_000)
    seen, began, start = [], time.monotonic(), clock.now()
    for _ in range(1000):
        seen.append(clock.now())
    real = time.monotonic() - began
    clock.close()
    assert seen == sorted(seen)
    assert 0 < (seen[-1] - start).total_seconds() <= real * 1_000_000


class HeldClock(AcceleratedClock):
    """A clock that stands still until it is released, so that all calls are queued before the first is due."""

    held = True

    def _passed(self) -> float:
        return 0.0 if self.held else super()._passed()


def test_accelerated_clock_runs_calls_of_a_day_in_order_and_never_early() -> None:
    clock, made, done = HeldClock(1_000_000), [], threading.Event()
    start, hours = clock.now(), list(range(1, 25))
    random.Random(1).shuffle(hours)
    for hour in hours:
        clock.call_later(hour * 3600, lambda hour=hour: made.append((hour, clock.now() - start)))
    clock.call_later(25 * 3600, done.set)
    clock.held = False
    assert done.wait(5)
    clock.close()
    assert [hour for hour, _ in made] == sorted(hours)
    assert all(passed.total_seconds() >= hour * 3600 for hour, passed in made)


def test_distant_call_of_a_slow_clock_waits() -> None:
    clock, made = AcceleratedClock(1e-9), threading.Event()
    clock.call_later(1e6, made.set)
    for _ in range(3):  # the thread survives its wait for the distant call
        at_once = threading.Event()
        clock.call_later(0, at_once.set)
        assert at_once.wait(5)
    assert not made.is_set()
    clock.close()


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_invalid_speed_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        AcceleratedClock(speed)


class RealHosts(SimulatedHosts):
    kind = "namespace"


def test_accelerated_clock_is_refused_with_real_hosts() -> None:
    clock = AcceleratedClock(2)
    with pytest.raises(ValueError, match="accelerated clock needs simulated hosts: namespace hosts"):
        LocalPlatform(hosts=RealHosts(), clock=clock)
    clock.close()
    LocalPlatform(hosts=SimulatedHosts(), clock=AcceleratedClock(2)).close()
