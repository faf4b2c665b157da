from dataclasses import replace

from tests.yellowdog_ray.hand_moved_time import Time
from yellowdog_ray.cluster.terminations import Action, Terminations
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


def steps(time: Time, task: TaskView, seconds: int) -> list[tuple[int, Action]]:
    """What is done about one ending, and when, second by second."""
    ledger = Terminations(time)
    ledger.begin([task.name])
    ledger.acted(task.name)
    done = []
    for second in range(seconds + 1):
        for escalation in ledger.due([task]):
            done.append((second, escalation.action))
            ledger.acted(task.name)
        time.now += 1
    return done


def test_unacknowledged_abort_is_repeated_then_escalated(time):
    aborts = [(second, Action.ABORT) for second in (10, 20, 30, 40, 50)]

    assert steps(time, TASK, 185) == [
        *aborts,
        (60, Action.SHUT_DOWN_NODE),
        (120, Action.TERMINATE_INSTANCE),
        (180, Action.TERMINATE_INSTANCE),
    ]


def test_requested_abort_is_escalated_after_its_time(time):
    assert steps(time, ABORTED, 125) == [(60, Action.SHUT_DOWN_NODE), (120, Action.TERMINATE_INSTANCE)]


def test_acknowledged_abort_is_not_repeated_before_listing_shows_it(time):
    ledger = Terminations(time)
    ledger.begin([TASK.name])
    ledger.acted(TASK.name, acknowledged=True)
    time.now += 50

    assert ledger.due([TASK]) == []


def test_escalation_counts_from_first_request(time):
    ledger = Terminations(time)
    ledger.begin([TASK.name])
    time.now += 300
    assert ledger.due([TASK]) == []

    ledger.acted(TASK.name)
    time.now += 10

    assert [(escalation.action, escalation.waited) for escalation in ledger.due([TASK])] == [(Action.ABORT, 10)]
    assert ledger.due([TASK]) == []


def test_termination_only_aborts_without_platform_node(time):
    waiting = replace(ABORTED, executing=False, status="READY", platform_node_id=None)

    assert steps(time, waiting, 130) == [(60, Action.ABORT), (120, Action.ABORT)]


def test_ended_task_needs_no_action(time):
    assert steps(time, replace(ABORTED, finished=True), 130) == []


def test_begin_keeps_earlier_terminations(time):
    ledger = Terminations(time)

    ledger.begin(["worker-1"])
    ledger.begin(["worker-2"])

    assert ledger.node_ids == {"worker-1", "worker-2"}


def test_due_passes_over_tasks_without_termination(time):
    ledger = Terminations(time)
    ledger.begin([TASK.name])
    ledger.acted(TASK.name)
    time.now += 10

    assert [one.task.name for one in ledger.due([replace(TASK, name="worker-0"), TASK])] == [TASK.name]


def test_adopted_abort_is_escalated_from_its_discovery_on(time):
    ledger = Terminations(time)
    ledger.observe([ABORTED], adopt=True)

    time.now += 59
    ledger.observe([ABORTED], adopt=True)
    assert ledger.due([ABORTED]) == []
    time.now += 1

    assert [(one.action, one.waited) for one in ledger.due([ABORTED])] == [(Action.SHUT_DOWN_NODE, 60)]


def test_adopted_abort_is_dropped_when_platform_stops_showing_it(time):
    ledger = Terminations(time)
    ledger.observe([ABORTED], adopt=True)

    time.now += 60
    ledger.observe([ABORTED], adopt=True)
    assert ledger.node_ids == {"worker-1"}
    ledger.observe([], adopt=True)

    assert ledger.node_ids == frozenset()


def test_observe_adopts_foreign_aborts_on_request(time):
    ledger = Terminations(time)

    ledger.observe([ABORTED], adopt=True)

    assert ledger.node_ids == {"worker-1"}


def test_observe_ignores_foreign_aborts_otherwise(time):
    ledger = Terminations(time)

    ledger.observe([ABORTED], adopt=False)

    assert ledger.node_ids == frozenset()


def test_ledger_drops_nodes_that_platform_has_not_shown_for_a_while(time):
    ledger = Terminations(time)
    ledger.begin(["worker-1"])

    ledger.observe([], adopt=True)
    assert ledger.node_ids == {"worker-1"}
    time.now += 60
    ledger.observe([], adopt=True)

    assert ledger.node_ids == frozenset()
