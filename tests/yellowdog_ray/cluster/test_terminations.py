from dataclasses import replace

from tests.yellowdog_ray.hand_moved_time import Time
from yellowdog_ray.cluster.terminations import Endings, Step
from yellowdog_ray.platform.types import TaskView

TASK = TaskView(
    id="ydid:task:1",
    name="worker-1",
    group_id="g",
    executing=True,
    finished=False,
    status="EXECUTING",
    abort_requested=False,
    platform_node_id="n",
    tags={},
)
ABORTED = replace(TASK, abort_requested=True)


def steps(time: Time, task: TaskView, seconds: int) -> list[tuple[int, Step]]:
    """What is done about one ending, and when, second by second."""
    endings = Endings(time)
    endings.begin([task.name])
    endings.asked(task.name)
    done = []
    for second in range(seconds + 1):
        for push in endings.due([task]):
            done.append((second, push.step))
            endings.asked(task.name)
        time.now += 1
    return done


def test_an_abort_that_was_not_heard_is_repeated_then_outranked(time):
    aborts = [(second, Step.ABORT) for second in (10, 20, 30, 40, 50)]

    assert steps(time, TASK, 185) == [
        *aborts,
        (60, Step.SHUT_DOWN_NODE),
        (120, Step.TERMINATE_INSTANCE),
        (180, Step.TERMINATE_INSTANCE),
    ]


def test_an_abort_that_was_heard_gets_its_time(time):
    assert steps(time, ABORTED, 125) == [(60, Step.SHUT_DOWN_NODE), (120, Step.TERMINATE_INSTANCE)]


def test_an_answer_that_shows_the_abort_counts_as_heard_before_any_listing_does(time):
    endings = Endings(time)
    endings.begin([TASK.name])
    endings.asked(TASK.name, heard=True)
    time.now += 50

    assert endings.due([TASK]) == []


def test_what_waits_for_its_turn_to_be_asked_is_not_pushed_and_its_time_counts_from_then(time):
    endings = Endings(time)
    endings.begin([TASK.name])
    time.now += 300
    assert endings.due([TASK]) == []

    endings.asked(TASK.name)
    time.now += 10

    assert [(push.step, push.waited) for push in endings.due([TASK])] == [(Step.ABORT, 10)]
    assert endings.due([TASK]) == []


def test_where_there_is_no_platform_node_there_is_nothing_to_do_but_to_abort(time):
    waiting = replace(ABORTED, executing=False, status="READY", platform_node_id=None)

    assert steps(time, waiting, 130) == [(60, Step.ABORT), (120, Step.ABORT)]


def test_a_task_that_has_ended_is_left_alone(time):
    assert steps(time, replace(ABORTED, finished=True), 130) == []


def test_on_the_head_the_aborts_of_others_are_adopted(time):
    endings = Endings(time)

    endings.observe([ABORTED], adopt=True)

    assert endings.node_ids == {"worker-1"}


def test_elsewhere_they_are_not_ours_to_push(time):
    endings = Endings(time)

    endings.observe([ABORTED], adopt=False)

    assert endings.node_ids == frozenset()


def test_what_the_platform_shows_no_more_is_forgotten_after_a_while(time):
    endings = Endings(time)
    endings.begin(["worker-1"])

    endings.observe([], adopt=True)
    assert endings.node_ids == {"worker-1"}
    time.now += 60
    endings.observe([], adopt=True)

    assert endings.node_ids == frozenset()
