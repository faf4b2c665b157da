"""What the log says of readings that fail."""

import logging

import pytest

from yellowdog_ray.errors import Unavailable
from yellowdog_ray.monitor.outage import Outage

NO_ANSWER = Unavailable("no answer")


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]


def test_outage_is_logged_at_start_each_minute_and_end(lines):
    now = [3600.0]
    outage = Outage(lambda: now[0])

    for _ in range(15):
        outage.failed(NO_ANSWER)
        now[0] += 5
    outage.succeeded()

    first, again, end = lines()
    assert "since 01:00:00 UTC (0 s)" in first
    assert "no answer" in first
    assert "since 01:00:00 UTC (60 s)" in again
    assert "again, after 75 s" in end


def test_nothing_is_logged_without_outage(lines):
    Outage().succeeded()

    assert lines() == []


def test_next_outage_has_its_own_start(lines):
    now = [0.0]
    outage = Outage(lambda: now[0])
    outage.failed(NO_ANSWER)
    outage.succeeded()

    now[0] = 30
    outage.failed(NO_ANSWER)

    assert "since 00:00:30 UTC (0 s)" in lines()[-1]


def test_mistake_of_ours_is_no_outage_and_logged_once_with_traceback(caplog):
    outage = Outage()

    for _ in range(3):
        with pytest.raises(TypeError) as caught:
            outage.succeeded("too many")
        outage.failed(caught.value)
    outage.succeeded()

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "cannot be read" not in caplog.text
    assert 'outage.succeeded("too many")' in caplog.text
