import pytest

from yellowdog_ray.errors import NotFound, Throttled, Unavailable
from yellowdog_ray.platform.retry import Patience, patiently


class Time:
    """Passes only by being slept through."""

    now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


class Owner:
    """Fails in a given order, then succeeds."""

    def __init__(self, seconds: float, *failures: Exception) -> None:
        self.time = Time()
        self.patience = Patience(seconds, self.time.sleep, self.time)
        self.failures = list(failures)
        self.tries = 0

    @patiently
    def call(self, what: str, *, why: str) -> str:
        """What is tried."""
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        return f"{what} {why}"


def test_what_fails_for_a_moment_succeeds():
    owner = Owner(10, Unavailable("x"), Throttled("x"))

    assert owner.call("a", why="b") == "a b"
    assert owner.tries == 3


def test_what_is_no_passing_failure_is_told_at_once():
    owner = Owner(10, NotFound("x"))

    with pytest.raises(NotFound):
        owner.call("a", why="b")
    assert owner.time.now == 100.0


def test_patience_ends():
    owner = Owner(10, *[Unavailable(str(n)) for n in range(50)])

    with pytest.raises(Unavailable):
        owner.call("a", why="b")
    assert 105 < owner.time.now <= 110


def test_without_patience_nothing_is_tried_twice_and_nobody_waits():
    owner = Owner(0, Unavailable("x"))

    with pytest.raises(Unavailable):
        owner.call("a", why="b")
    assert (owner.tries, owner.time.now) == (1, 100.0)
