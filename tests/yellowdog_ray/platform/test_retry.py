"""How long a failing platform call is repeated."""

from contextlib import suppress

import pytest

from yellowdog_ray.errors import MalformedResponse, NotFound, Throttled, Unavailable
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


def page_of_a_proxy() -> MalformedResponse:
    error = MalformedResponse("a page")
    error.may_heal = True
    return error


@pytest.mark.parametrize(
    ("failures", "attempts"),
    [
        ([MalformedResponse("a new status")] * 9, 2),
        ([MalformedResponse("x"), Unavailable("x"), MalformedResponse("x"), Unavailable("x")], 5),
        ([page_of_a_proxy()] * 3, 4),
    ],
)
def test_retry_repeats_json_of_another_shape_only_once(failures, attempts):
    owner = Owner(100, *failures)

    with suppress(MalformedResponse):
        owner.call("a", right="b")
    assert owner.attempts == attempts


def test_retry_makes_one_attempt_and_never_sleeps_without_time():
    owner = Owner(0, Unavailable("x"))

    with pytest.raises(Unavailable):
        owner.call("a", right="b")
    assert (owner.attempts, owner.time.now) == (1, 100.0)
