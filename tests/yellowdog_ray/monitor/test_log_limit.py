"""Lines that strangers cause are few, however often they try and from however many addresses."""

import pytest

from yellowdog_ray.monitor.log_limit import MAX_KEYS, MAX_KEYS_OF_A_PEER, SECONDS, LogLimit


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


def test_peer_does_not_silence_another(limit, clock):
    admitted = sum(limit.admits("noisy", str(number)) for number in range(2 * MAX_KEYS))

    assert admitted == MAX_KEYS_OF_A_PEER
    assert limit.admits("other", "line")

    clock.seconds += SECONDS
    assert limit.admits("noisy", "another line")


def test_share_of_a_peer_counts_a_repeated_line_once(limit, clock):
    for _ in range(3 * MAX_KEYS_OF_A_PEER):
        assert limit.admits("a", "line")
        clock.seconds += SECONDS

    assert limit.admits("a", "another line")


def test_clock_that_is_set_back_silences_nothing(limit, clock):
    clock.seconds = 1_000_000.0
    limit.admits("a")

    clock.seconds = 0.0

    assert limit.admits("a")
