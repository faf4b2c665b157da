"""Checks in threads of their own, bounded in time."""

import threading

import pytest

from yellowdog_ray.config.check import State, ok
from yellowdog_ray.errors import ConfigError, NotAuthorised, Throttled, Unavailable
from yellowdog_ray.inventory.bounded import BoundedRun, Task


def task(name, run):
    return Task("section", name, run)


def raising(error):
    def run():
        yield ok("first", "x")
        raise error

    return run


def test_results_keep_the_order_of_the_tasks():
    first = threading.Event()
    tasks = [
        task("late", lambda: [ok("late", str(first.wait(5)))]),
        task("early", lambda: first.set() or [ok("early", "x")]),
    ]

    lines = BoundedRun(tasks, 5.0).results()

    assert [(section, check.subject) for section, check in lines] == [("section", "late"), ("section", "early")]


def test_task_that_hangs_is_unchecked_and_the_others_are_kept():
    end = threading.Event()
    run = BoundedRun([task("hangs", lambda: [ok("x", str(end.wait(5)))]), task("good", lambda: [ok("good", "x")])], 0.1)

    try:
        assert run.wait(0.05) == ["hangs"]
        (_, late), (_, good) = run.results()
    finally:
        end.set()

    assert (late.subject, late.state, late.text) == ("hangs", State.UNCHECKED, "no answer within 0.1 s")
    assert good.state is State.OK


def test_run_without_tasks_has_no_results():
    assert (BoundedRun([], 5.0).wait(5.0), BoundedRun([], 5.0).results()) == ([], [])


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Unavailable("x"), State.UNCHECKED),
        (Throttled("x"), State.UNCHECKED),
        (NotAuthorised("x"), State.FAILED),
        (ConfigError("x"), State.FAILED),
    ],
)
def test_error_is_a_failed_check_unless_no_answer_came(error, state):
    (_, check) = BoundedRun([task("name", raising(error))], 5.0).results()[-1]

    assert (check.subject, check.state, check.text) == ("name", state, "x")


def test_error_of_several_lines_is_several_checks():
    lines = BoundedRun([task("name", raising(ConfigError("one\ntwo")))], 5.0).results()

    assert [check.text for _, check in lines][-2:] == ["one", "two"]


def test_bug_is_raised_in_the_callers_thread():
    with pytest.raises(ZeroDivisionError):
        BoundedRun([task("name", lambda: [1 / 0])], 5.0).results()
