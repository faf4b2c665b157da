"""The platform's time, from the dates of its answers."""

import logging
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
import requests

from yellowdog_ray.platform.platform_clock import MIN_SAMPLES, PlatformClock

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


class WrongClock:
    """This machine's clock: off by some time, and set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.off = timedelta(0)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds) + self.off

    def monotonic(self) -> float:
        return 100.0 + self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def here() -> WrongClock:
    return WrongClock()


@pytest.fixture
def clock(here) -> PlatformClock:
    return PlatformClock(here)


def answer(date: str | None, status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({} if date is None else {"Date": date})
    return response


def observe(clock: PlatformClock, *moments: datetime) -> None:
    for moment in moments:
        clock.observe(answer(format_datetime(moment, usegmt=True)))


@pytest.mark.parametrize("off", [timedelta(hours=2), -timedelta(hours=2), timedelta(minutes=10)])
def test_time_is_the_platforms_when_the_machines_clock_is_off(here, clock, off):
    here.off = off

    assert not clock.is_set

    observe(clock, *[NOW] * MIN_SAMPLES)
    here.sleep(90)

    assert clock.is_set

    assert clock.now() == NOW + timedelta(seconds=90)
    assert clock.to_local(NOW) == NOW + off


def test_time_is_the_platforms_when_the_machines_clock_is_set_later(here, clock):
    observe(clock, *[NOW] * MIN_SAMPLES)

    here.off = timedelta(hours=-3)

    assert clock.now() == NOW


def test_machines_clock_is_used_for_a_small_difference_and_before_any_answer(here, clock):
    assert clock.now() == here.now()

    observe(clock, *[NOW - timedelta(seconds=2)] * MIN_SAMPLES)

    assert clock.now() == here.now()


def test_single_wrong_date_changes_nothing(here, clock):
    observe(clock, datetime(1970, 1, 2, tzinfo=timezone.utc))
    assert clock.now() == NOW

    observe(clock, NOW, NOW, datetime(9999, 1, 1, tzinfo=timezone.utc))

    assert clock.now() == NOW


@pytest.mark.parametrize("date", [None, "", "soon", "Thu, 99 Jan 2026 12:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_unusable_date_is_ignored(here, clock, date):
    for _ in range(MIN_SAMPLES):
        clock.observe(answer(date))

    assert clock.now() == here.now()


def test_date_of_a_failed_call_is_ignored(here, clock):
    for _ in range(MIN_SAMPLES):
        clock.observe(answer("Thu, 01 Jan 1970 12:00:00 GMT", 502))

    assert clock.now() == here.now()


@pytest.mark.parametrize(("off", "words"), [(7200, "2:00:00 ahead of"), (-600, "0:10:00 behind")])
def test_difference_of_clocks_is_logged_once(here, clock, caplog, off, words):
    caplog.set_level(logging.WARNING)
    here.off = timedelta(seconds=off)

    observe(clock, *[NOW] * 3 * MIN_SAMPLES)

    assert caplog.messages == [
        f"this machine's clock is {words} YellowDog's, whose time RayDog uses: set the clock, for example by NTP"
    ]


def test_difference_of_seconds_is_not_logged(here, clock, caplog):
    here.off = timedelta(seconds=50)

    observe(clock, *[NOW] * MIN_SAMPLES)

    assert caplog.messages == []
