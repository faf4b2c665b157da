"""The pace of publications."""

from itertools import pairwise

import pytest

from yellowdog_ray.monitor.publishing_pace import FIRST_SECONDS, LONGEST_SECONDS, SETTLE_SECONDS, Pace


def publications(changes: range | list[int], until: int, urgent: bool = False) -> list[int]:
    """The seconds at which changes are published."""
    pace, made, wanted = Pace(), [], set(changes)
    for second in range(until):
        if second in wanted:
            pace.changed(second)
        if pace.is_due(second, urgent=urgent):
            pace.published(second)
            made.append(second)
    return made


def test_single_change_is_published_once_soon():
    assert publications([5], 4000) == [5 + SETTLE_SECONDS]


def test_interval_doubles_while_changes_go_on():
    made = publications(range(20_000), 20_000)

    gaps = [after - before for before, after in pairwise(made)]
    assert gaps[:5] == [60, 120, 240, 480, 900]
    assert set(gaps[5:]) == {LONGEST_SECONDS}
    assert len(publications(range(86_400), 86_400)) <= 101


def test_interval_is_short_again_after_a_quiet_time():
    changes = [*range(3000), 3000 + int(LONGEST_SECONDS) + 100]
    assert publications(changes, 5000)[-1] == changes[-1] + SETTLE_SECONDS


def test_rare_changes_do_not_make_many_publications():
    assert len(publications(range(0, 86_400, 120), 86_400)) <= 101


def test_urgent_change_waits_at_most_the_shortest_interval():
    made = publications(range(20_000), 20_000, urgent=True)

    assert {after - before for before, after in pairwise(made)} == {FIRST_SECONDS}


@pytest.mark.parametrize("wait", [0, FIRST_SECONDS - 1])
def test_failed_publication_is_not_repeated_at_once(wait):
    pace = Pace()
    pace.changed(0)
    pace.failed(SETTLE_SECONDS)

    assert not pace.is_due(SETTLE_SECONDS + wait)
    assert pace.is_due(SETTLE_SECONDS + FIRST_SECONDS)


def test_lasting_state_is_published_again_after_the_longest_interval():
    pace = Pace()
    assert not pace.is_due(0, lasting=True)
    pace.changed(0)
    pace.published(SETTLE_SECONDS)

    assert not pace.is_due(SETTLE_SECONDS + LONGEST_SECONDS - 1, lasting=True)
    assert not pace.is_due(SETTLE_SECONDS + LONGEST_SECONDS)
    assert pace.is_due(SETTLE_SECONDS + LONGEST_SECONDS, lasting=True)
