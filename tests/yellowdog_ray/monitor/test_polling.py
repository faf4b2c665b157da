"""How often the platform is read."""

import pytest

from yellowdog_ray.monitor.polling import (
    BUSY_SECONDS,
    CALM_AFTER_SECONDS,
    CALM_NOTICES_SECONDS,
    CALM_SECONDS,
    QUIET_SECONDS,
    Pace,
)


@pytest.fixture
def pace(time) -> Pace:
    """Read just now, after a change."""
    pace = Pace(time)
    pace.nodes_read(changed=True)
    pace.notices_read()
    return pace


def calm(time, pace) -> None:
    time.now += CALM_AFTER_SECONDS
    pace.nodes_read(changed=False)
    pace.notices_read()


def test_before_the_first_reading_everything_is_due(time):
    pace = Pace(time)

    assert pace.nodes_are_due(stable=True)
    assert pace.notices_are_due()


def test_while_nodes_come_or_go_they_are_due_soon(time, pace):
    assert not pace.nodes_are_due(stable=False)

    time.now += BUSY_SECONDS
    assert pace.nodes_are_due(stable=False)
    assert not pace.nodes_are_due(stable=True)


def test_shortly_after_a_change_they_are_read_often(time, pace):
    time.now += QUIET_SECONDS

    assert pace.nodes_are_due(stable=True)
    assert pace.notices_are_due()


def test_when_nothing_has_changed_for_long_they_are_read_seldom(time, pace):
    calm(time, pace)

    time.now += CALM_NOTICES_SECONDS
    assert pace.notices_are_due()
    assert not pace.nodes_are_due(stable=True)

    time.now += CALM_SECONDS - CALM_NOTICES_SECONDS
    assert pace.nodes_are_due(stable=True)


def test_a_change_makes_it_quick_again(time, pace):
    calm(time, pace)
    pace.nodes_read(changed=True)

    time.now += QUIET_SECONDS
    assert pace.nodes_are_due(stable=True)
