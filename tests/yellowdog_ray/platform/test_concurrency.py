"""Platform calls that run concurrently."""

import threading

import pytest

from yellowdog_ray.platform.concurrency import MAX_CONCURRENT_CALLS, run_concurrently


def test_results_keep_argument_order():
    many = range(3 * MAX_CONCURRENT_CALLS)

    assert run_concurrently(str, many) == [str(number) for number in many]
    assert run_concurrently(str, [7]) == ["7"]
    assert run_concurrently(str, []) == []


@pytest.mark.parametrize("count", [2, MAX_CONCURRENT_CALLS])
def test_calls_overlap_up_to_the_limit(count):
    all_running = threading.Barrier(count, timeout=10)

    run_concurrently(lambda _: all_running.wait(), range(count))  # a broken barrier raises


def test_failure_of_first_argument_is_raised_when_several_fail():
    late = threading.Event()

    def call(number: int) -> None:
        if number == 1:
            late.wait(10)
        else:
            late.set()
        raise ValueError(number)

    with pytest.raises(ValueError, match="1"):
        run_concurrently(call, [1, 2])
