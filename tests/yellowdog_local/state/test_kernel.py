from __future__ import annotations

from datetime import datetime, timezone

import pytest

from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.settings import Settings


class Log(list[str]):
    """A kernel whose passes and effects add to the list."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = SteppedClock()
        self.kernel = Kernel(self.clock, Settings(), run_pass=lambda: self.append("pass"))


def test_outermost_release_runs_one_pass_then_the_effects_in_order() -> None:
    log = Log()
    with log.kernel.locked():
        with log.kernel.locked():
            for name in ("first", "second"):
                log.kernel.defer(lambda name=name: log.append(name))  # type: ignore[misc]
                log.kernel.want_pass()
        assert log == []
    assert log == ["pass", "first", "second"]


def test_release_without_a_wanted_pass_wakes_no_watcher() -> None:
    log = Log()
    with log.kernel.watching(lambda: log.append("woken")):
        with log.kernel.locked():
            pass
        assert log == []
        with log.kernel.locked():
            log.kernel.want_pass()
    with log.kernel.locked():
        log.kernel.want_pass()
    assert log == ["pass", "woken", "pass"]


def test_effect_deferred_by_an_effect_runs_after_a_failing_one(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    kernel = log.kernel

    def fail() -> None:
        kernel.defer(lambda: log.append("last"))
        raise OSError("no host")

    with kernel.locked():
        kernel.defer(fail)
    assert log == ["last"]
    assert "a call to a host or an agent failed" in caplog.text


def test_error_releases_the_lock_and_leaves_pass_and_effects_to_the_next_holder() -> None:
    log = Log()

    def fail() -> None:
        with log.kernel.locked():
            log.kernel.defer(lambda: log.append("effect"))
            log.kernel.want_pass()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert log == []
    with log.kernel.locked():
        pass
    assert log == ["pass", "effect"]


def test_cancelled_timers_never_call() -> None:
    log = Log()
    log.kernel.after(1, lambda: log.append("all"))
    log.kernel.cancel_timers()
    log.kernel.after(1, lambda: log.append("one")).cancel()
    log.kernel.after(1, lambda: log.append("kept"))
    log.clock.advance(2)
    assert log == ["kept"]


def test_time_is_in_milliseconds_and_creation_times_are_kept_on_request() -> None:
    start = datetime(2026, 1, 1, microsecond=1999, tzinfo=timezone.utc)
    kernel = Kernel(SteppedClock(start), Settings(), run_pass=lambda: None)
    assert kernel.now() == start.replace(microsecond=1000)
    kernel.next_sequence()
    kernel.made = []
    assert (kernel.next_sequence(), kernel.made) == (2, [(start, 2)])
