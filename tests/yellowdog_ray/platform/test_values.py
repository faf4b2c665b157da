"""Single values of the platform's answers: what arithmetic may meet, and what counts as missing."""

import math
from datetime import datetime, timedelta, timezone

import pytest

from yellowdog_ray.platform.values import LONGEST, duration, moment, size

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
FIRST = datetime(2000, 1, 1, tzinfo=timezone.utc)
LAST = datetime(2199, 12, 31, tzinfo=timezone.utc)


@pytest.mark.parametrize("time", [NOW, FIRST, LAST])
def test_plausible_moment_and_longest_duration_have_a_sum(time):
    assert moment(time) == time
    assert duration(LONGEST) == LONGEST
    assert time - LONGEST < time < time + LONGEST


@pytest.mark.parametrize(
    "value",
    [
        None,
        "2026-01-02",
        datetime(2026, 1, 2),
        datetime.min.replace(tzinfo=timezone.utc),
        datetime.max.replace(tzinfo=timezone.utc),
        FIRST - timedelta(seconds=1),
    ],
)
def test_moment_that_is_not_plausible_counts_as_missing(value):
    assert moment(value) is None


@pytest.mark.parametrize("value", [None, "PT1H", timedelta.max, -timedelta(seconds=1), LONGEST + timedelta(seconds=1)])
def test_duration_that_is_not_plausible_counts_as_missing(value):
    assert duration(value) is None


@pytest.mark.parametrize("value", [None, 0, -1, 10**400, math.inf, math.nan, "4"])
def test_size_that_no_machine_has_counts_as_missing(value):
    assert size(value) is None
    assert size(4) == 4
