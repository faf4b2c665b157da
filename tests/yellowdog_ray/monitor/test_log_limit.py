"""Lines that strangers cause are few, however often they try and from however many addresses."""

import pytest

from yellowdog_ray.monitor.log_limit import MAX_KEYS, SECONDS, LogLimit


class Clock:
    """The time."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> LogLimit:
    return LogLimit(clock)


def test_key_is_admitted_once_per_minute(limit, clock):
    assert [limit.admits("a") for _ in range(3)] == [True, False, False]

    clock.seconds += SECONDS - 1
    assert not limit.admits("a")
    clock.seconds += 1
    assert limit.admits("a")


def test_other_key_is_admitted(limit):
    limit.admits("a")

    assert limit.admits("b")
    assert limit.admits("a", "b")


def test_keys_are_bounded_in_each_minute(limit, clock):
    assert sum(limit.admits(str(number)) for number in range(3 * MAX_KEYS)) == MAX_KEYS

    clock.seconds += SECONDS

    assert limit.admits("another")


def test_clock_that_is_set_back_silences_nothing(limit, clock):
    clock.seconds = 1_000_000.0
    limit.admits("a")

    clock.seconds = 0.0

    assert limit.admits("a")
