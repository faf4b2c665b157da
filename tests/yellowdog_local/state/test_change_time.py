from __future__ import annotations

from datetime import datetime, timedelta, timezone

from yellowdog_local.state.change_time import ChangeTime

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
STEP = timedelta(milliseconds=1)


def test_time_is_unknown_before_the_first_change_and_stays_without_one() -> None:
    changed = ChangeTime()
    assert changed.show() is None
    changed.mark(NOW)
    assert (changed.show(), changed.show()) == (NOW, NOW)


def test_change_at_the_same_or_an_earlier_time_is_shown_later() -> None:
    changed = ChangeTime()
    shown = []
    for moment in (NOW, NOW, NOW - STEP, NOW + STEP, NOW + 9 * STEP):
        changed.mark(moment)
        shown.append(changed.show())
    assert shown == [NOW, NOW + STEP, NOW + 2 * STEP, NOW + 3 * STEP, NOW + 9 * STEP]
