"""Several questions at once."""

import threading

import pytest

from yellowdog_ray.platform.concurrency import QUESTIONS_AT_ONCE, side_by_side


def test_the_answers_come_in_the_order_of_the_questions():
    assert side_by_side(str, range(3 * QUESTIONS_AT_ONCE)) == [str(number) for number in range(3 * QUESTIONS_AT_ONCE)]
    assert side_by_side(str, [7]) == ["7"]
    assert side_by_side(str, []) == []


def test_no_question_waits_for_the_answer_to_another():
    all_asked = threading.Barrier(QUESTIONS_AT_ONCE, timeout=10)

    side_by_side(lambda _: all_asked.wait(), range(QUESTIONS_AT_ONCE))  # a broken barrier raises


def test_of_several_failures_the_first_questions_is_told():
    late = threading.Event()

    def ask(number: int) -> None:
        if number == 1:
            late.wait(10)
        else:
            late.set()
        raise ValueError(number)

    with pytest.raises(ValueError, match="1"):
        side_by_side(ask, [1, 2])
