from __future__ import annotations

import threading

from yellowdog_local.clock import RealClock, SteppedClock


def test_due_calls_run_in_order_of_their_time() -> None:
    clock, made = SteppedClock(), []
    clock.call_later(2, lambda: made.append("second"))
    clock.call_later(1, lambda: made.append("first"))
    clock.advance(1.5)
    assert made == ["first"]
    clock.advance(1)
    assert made == ["first", "second"]


def test_a_call_made_by_a_due_call_runs_in_the_same_step_if_it_is_due_too() -> None:
    clock, times = SteppedClock(), []
    start = clock.now()
    clock.call_later(1, lambda: clock.call_later(1, lambda: times.append((clock.now() - start).total_seconds())))
    clock.advance(5)
    assert times == [2.0]


def test_a_cancelled_call_is_never_made() -> None:
    clock, made = SteppedClock(), []
    clock.call_later(1, lambda: made.append(1)).cancel()
    clock.advance(2)
    assert made == []


def test_the_real_clock_goes_on_after_a_call_that_fails() -> None:
    clock, done = RealClock(), threading.Event()
    clock.call_later(0, lambda: 1 / 0)
    clock.call_later(0.01, done.set)
    assert done.wait(5)
    clock.close()


def test_a_closed_real_clock_makes_no_calls_and_has_no_thread() -> None:
    clock, made = RealClock(), threading.Event()
    clock.call_later(0.05, made.set)
    clock.close()
    assert not made.wait(0.1)
    assert not any(thread.name == "yellowdog-local-clock" for thread in threading.enumerate())
