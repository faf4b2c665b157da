"""When a process of the head is started again, and when it has died too often."""

from yellowdog_ray.head.restarts import (
    CRASH_LOOP,
    LAST_BACK_OFF_SECONDS,
    SHORT_LIFE_SECONDS,
    STOP_SECONDS,
    WINDOW_SECONDS,
    Restarts,
)

LONG = SHORT_LIFE_SECONDS + 1


def test_process_restarts_at_once_after_a_long_life():
    assert [Restarts().died(0.0, LONG, graceful=False) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_back_off_doubles_up_to_its_limit_with_each_crash():
    restarts = Restarts()

    back_offs = [restarts.died(0.0, 1.0, graceful=False) for _ in range(8)]

    assert back_offs == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, LAST_BACK_OFF_SECONDS, LAST_BACK_OFF_SECONDS]


def test_graceful_end_waits_for_ray_stop():
    assert Restarts().died(0.0, LONG, graceful=True) == STOP_SECONDS


def test_crash_loop_is_a_number_of_crashes_in_a_row():
    restarts = Restarts()
    for _ in range(CRASH_LOOP - 1):
        restarts.died(0.0, 1.0, graceful=False)
    assert not restarts.in_crash_loop

    restarts.died(0.0, 1.0, graceful=False)
    assert restarts.in_crash_loop


def test_long_life_ends_a_row_of_crashes():
    restarts = Restarts()
    for lived in [1.0] * (CRASH_LOOP - 1) + [LONG] + [1.0] * (CRASH_LOOP - 1):
        restarts.died(0.0, lived, graceful=False)

    assert not restarts.in_crash_loop


def test_count_covers_the_recent_deaths_only():
    restarts = Restarts()
    for now in (0.0, 1.0, WINDOW_SECONDS):
        restarts.died(now, LONG, graceful=False)

    assert restarts.recent(WINDOW_SECONDS) == 3
    assert restarts.recent(WINDOW_SECONDS + 0.5) == 2
