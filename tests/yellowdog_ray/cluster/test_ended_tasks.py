"""Tasks that were seen ended: each is reported once, and remembered for a while."""

from tests.yellowdog_ray.cluster.scripted_platform import task
from yellowdog_ray.cluster.ended_tasks import ENDED_SECONDS, EndedTasks

ENDED = task("a", "COMPLETED")


def test_ended_task_is_reported_once():
    ended = EndedTasks()
    ended.observe([ENDED, task("b")], 0)
    ended.observe([ENDED], 1)

    assert ended.take() == [ENDED]
    assert ended.take() == []


def test_task_that_is_not_found_is_reported_and_not_remembered():
    """A list may show it again."""
    ended = EndedTasks()
    gone = task("a", "NOT_FOUND", finished=True)
    ended.observe([gone], 0)

    assert ended.take() == [gone]
    assert ended.ids == set()


def test_ended_task_is_forgotten_after_its_last_sight():
    ended = EndedTasks()
    ended.observe([ENDED], 0)
    ended.observe([ENDED], 100)

    ended.expire(ENDED_SECONDS + 99)
    assert ended.ids == {ENDED.id}
    ended.expire(ENDED_SECONDS + 100)
    assert ended.ids == set()
