"""Duties at every tick: one that fails does not stop the loop."""

import pytest

from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.errors import NotFound, Throttled, Unavailable
from yellowdog_ray.monitor.supervisor import Supervisor

SNAPSHOT = Snapshot()


@pytest.fixture
def ran():
    return []


@pytest.fixture
def duty(ran):
    """Makes a duty that records its run, and may then fail."""

    def make(name, error=None):
        def run(snapshot):
            assert snapshot is SNAPSHOT
            ran.append(name)
            if error is not None:
                raise error

        return run

    return make


def test_supervisor_runs_duties_in_order(ran, duty):
    Supervisor([duty("a"), duty("b")]).tick(SNAPSHOT)

    assert ran == ["a", "b"]


@pytest.mark.parametrize("error", [NotFound("no pool"), Unavailable("no answer")])
def test_supervisor_runs_its_function_after_each_duty(ran, duty, error):
    Supervisor([duty("a"), duty("b", error)], lambda: ran.append("after")).tick(SNAPSHOT)

    assert ran == ["a", "after", "b", "after"]


@pytest.mark.parametrize("error", [NotFound("no pool"), Throttled("too many calls")])
def test_supervisor_runs_further_duties_after_failed_one(ran, duty, caplog, error):
    Supervisor([duty("a", error), duty("b")]).tick(SNAPSHOT)

    assert ran == ["a", "b"]
    assert f"will be retried at the next tick: {error}" in caplog.text


def test_supervisor_skips_further_duties_when_platform_is_unavailable(ran, duty, caplog):
    Supervisor([duty("a", Unavailable("no answer")), duty("b")]).tick(SNAPSHOT)

    assert ran == ["a"]
    assert "no answer" in caplog.text


def test_supervisor_begins_after_the_duty_that_found_the_platform_unavailable(ran, duty):
    """One broken answer must not keep the later duties from running for good."""
    supervisor = Supervisor([duty("a"), duty("b", Unavailable("no answer")), duty("c")])
    supervisor.tick(SNAPSHOT)
    assert ran == ["a", "b"]

    supervisor.tick(SNAPSHOT)
    assert ran[2:] == ["c", "a", "b"]

    supervisor.tick(SNAPSHOT)
    assert ran[5:] == ["c", "a", "b"]


def test_supervisor_runs_further_duties_after_bug_in_one(ran, duty, caplog):
    Supervisor([duty("a", TypeError("a bug")), duty("b")]).tick(SNAPSHOT)

    assert ran == ["a", "b"]
    assert "TypeError: a bug" in caplog.text
