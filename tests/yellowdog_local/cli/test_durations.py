"""Time spans as text."""

from __future__ import annotations

import pytest

from yellowdog_local.cli.durations import format_seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (90061, "1 d 1 h")],
)
def test_format_seconds_shows_the_two_largest_units(seconds: float, words: str) -> None:
    assert format_seconds(seconds) == words
