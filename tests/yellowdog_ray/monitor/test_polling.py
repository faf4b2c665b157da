"""The intervals at which the platform is polled."""

import pytest

from yellowdog_ray.monitor.polling import (
    BUSY_SECONDS,
    CALM_AFTER_SECONDS,
    CALM_SECONDS,
    CALM_SPOT_NOTICES_SECONDS,
    QUIET_SECONDS,
    PollingSchedule,
)


@pytest.fixture
def schedule(time) -> PollingSchedule:
    """A schedule whose last readings are recent and found a change."""
    schedule = PollingSchedule(time)
    schedule.listing_done(changed=True)
    schedule.spot_notices_read()
    schedule.duties_done()
    return schedule


def make_calm(time, schedule) -> None:
    time.now += CALM_AFTER_SECONDS
    schedule.listing_done(changed=False)
    schedule.spot_notices_read()
    schedule.duties_done()


def test_listing_and_notices_are_due_before_first_reading(time):
    schedule = PollingSchedule(time)

    assert schedule.is_listing_due(stable=True)
    assert schedule.are_spot_notices_due()


def test_listing_is_due_soon_while_nodes_change_phase(time, schedule):
    assert not schedule.is_listing_due(stable=False)

    time.now += BUSY_SECONDS
    assert schedule.is_listing_due(stable=False)
    assert not schedule.is_listing_due(stable=True)


def test_listing_and_notices_are_due_often_shortly_after_a_change(time, schedule):
    time.now += QUIET_SECONDS

    assert schedule.is_listing_due(stable=True)
    assert schedule.are_spot_notices_due()


def test_listing_is_due_seldom_long_after_the_last_change(time, schedule):
    make_calm(time, schedule)

    time.now += CALM_SPOT_NOTICES_SECONDS
    assert schedule.are_spot_notices_due()
    assert not schedule.is_listing_due(stable=True)

    time.now += CALM_SECONDS - CALM_SPOT_NOTICES_SECONDS
    assert schedule.is_listing_due(stable=True)


def test_change_shortens_a_calm_interval(time, schedule):
    make_calm(time, schedule)
    schedule.listing_done(changed=True)

    time.now += QUIET_SECONDS
    assert schedule.is_listing_due(stable=True)


def test_failed_reading_of_notices_is_due_again_soon_and_not_at_once(time, schedule):
    make_calm(time, schedule)
    time.now += CALM_SPOT_NOTICES_SECONDS
    assert schedule.are_spot_notices_due()

    schedule.duties_done()
    assert not schedule.are_spot_notices_due()

    time.now += BUSY_SECONDS
    assert schedule.are_spot_notices_due()

    schedule.spot_notices_read()
    assert not schedule.are_spot_notices_due()
