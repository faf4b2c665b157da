"""Actions that run concurrently, waited for or in the background."""

import logging
import threading

import pytest

from yellowdog_ray.cluster.executors import BackgroundExecutor, BlockingExecutor


def test_background_executor_returns_before_actions_end():
    executor, proceed, done = BackgroundExecutor(), threading.Event(), []

    executor.run(lambda thing: (proceed.wait(10), done.append(thing)), ["a"])
    assert done == []

    proceed.set()
    executor.close()
    assert done == ["a"]


def test_blocking_executor_returns_after_actions_end():
    executor, done = BlockingExecutor(), []

    executor.run(done.append, ["a", "b"])

    assert sorted(done) == ["a", "b"]
    executor.close()


@pytest.mark.parametrize("kind", [BackgroundExecutor, BlockingExecutor])
def test_bug_in_action_is_logged_with_its_line(kind, caplog):
    executor = kind()

    executor.run(lambda thing: thing + 1, ["a"])
    executor.close()

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "lambda thing: thing + 1" in caplog.text


def test_blocking_executor_runs_actions_concurrently():
    barrier, executor = threading.Barrier(2), BlockingExecutor()

    executor.run(lambda _: barrier.wait(30), range(2))

    assert not barrier.broken
    executor.close()


def test_executor_runs_remaining_actions_when_one_raises():
    done: list[int] = []

    def act(thing: int) -> None:
        if thing == 0:
            raise ValueError
        done.append(thing)

    executor = BlockingExecutor()
    executor.run(act, range(3))

    assert sorted(done) == [1, 2]
    executor.close()
