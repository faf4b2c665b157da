import logging

import pytest

from yellowdog_ray.monitor.outage import Outage


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]


def test_the_log_says_since_when_now_and_then_and_how_long_it_was(lines):
    now = [3600.0]
    outage = Outage(lambda: now[0])

    for _ in range(15):
        outage.goes_on(ValueError("no answer"))
        now[0] += 5
    outage.over()

    first, again, end = lines()
    assert "since 01:00:00 UTC (0 s)" in first
    assert "no answer" in first
    assert "since 01:00:00 UTC (60 s)" in again
    assert "again, after 75 s" in end


def test_a_reading_after_a_reading_is_no_news(lines):
    Outage().over()

    assert lines() == []


def test_the_next_outage_is_told_from_its_own_beginning(lines):
    now = [0.0]
    outage = Outage(lambda: now[0])
    outage.goes_on(ValueError("x"))
    outage.over()

    now[0] = 30
    outage.goes_on(ValueError("x"))

    assert "since 00:00:30 UTC (0 s)" in lines()[-1]
