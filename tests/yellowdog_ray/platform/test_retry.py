"""How long a failing platform call is repeated."""

import pytest

from yellowdog_ray.errors import NotFound, Throttled, Unavailable
from yellowdog_ray.platform.retry import RetryPolicy, retried


class Time:
    """Advances only by sleeping."""

    now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


class Owner:
    """Fails in a given order, then succeeds."""

    def __init__(self, seconds: float, *failures: Exception) -> None:
        self.time = Time()
        self.retry_policy = RetryPolicy(seconds, self.time.sleep, self.time)
        self.failures = list(failures)
        self.attempts = 0

    @retried
    def call(self, left: str, *, right: str) -> str:
        """The call under test."""
        self.attempts += 1
        if self.failures:
            raise self.failures.pop(0)
        return f"{left} {right}"


def test_retry_succeeds_after_transient_failures():
    owner = Owner(10, Unavailable("x"), Throttled("x"))

    assert owner.call("a", right="b") == "a b"
    assert owner.attempts == 3


def test_retry_raises_permanent_failure_at_once():
    owner = Owner(10, NotFound("x"))

    with pytest.raises(NotFound):
        owner.call("a", right="b")
    assert owner.time.now == 100.0


def test_retry_raises_last_failure_when_time_is_over():
    owner = Owner(10, *[Unavailable(str(n)) for n in range(50)])

    with pytest.raises(Unavailable):
        owner.call("a", right="b")
    assert 105 < owner.time.now <= 110


def test_retry_makes_one_attempt_and_never_sleeps_without_time():
    owner = Owner(0, Unavailable("x"))

    with pytest.raises(Unavailable):
        owner.call("a", right="b")
    assert (owner.attempts, owner.time.now) == (1, 100.0)
