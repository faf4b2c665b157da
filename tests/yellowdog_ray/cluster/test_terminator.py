"""Terminations on a scripted platform: which calls are made, and what is logged."""

from dataclasses import replace

import pytest

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase
from yellowdog_ray.cluster.terminations import ABORT_AGAIN_SECONDS, SHUT_DOWN_NODE_SECONDS, TERMINATE_INSTANCE_SECONDS
from yellowdog_ray.cluster.terminator import MAX_LOGGED, Terminator
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.platform.types import PlatformNodeView, PoolView, TaskView

TASK = TaskView("ydid:1", "worker-1", "g", True, False, "EXECUTING", False, "n", {})
NODE = ClusterNode("worker-1", "ydid:1", "g", Phase.RUNNING, platform_node_id="n")


class ScriptedPlatform:
    """Records the calls that end something; each fails while `error` is set."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        self.aborted = TASK
        self.compute_requirement_id: str | None = "compute"

    def abort_task(self, task_id: str) -> TaskView:
        self._record("abort", task_id)
        return self.aborted

    def shut_down_node(self, platform_node_id: str) -> None:
        self._record("shut down", platform_node_id)

    def platform_node(self, platform_node_id: str) -> PlatformNodeView:
        assert platform_node_id == "n"
        return PlatformNodeView(platform_node_id, "pool", "instance", None, None)

    def pool(self, pool_id: str) -> PoolView:
        assert pool_id == "pool"
        return PoolView(pool_id, "pool", "RUNNING", False, self.compute_requirement_id)

    def terminate_instance(self, compute_requirement_id: str, instance_id: str) -> None:
        self._record("terminate", compute_requirement_id, instance_id)

    def _record(self, *call: str) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error


class DirectExecutor:
    """Runs everything at once in the calling thread."""

    def run(self, action, things):
        for thing in things:
            action(thing)

    def close(self):
        pass


@pytest.fixture
def platform() -> ScriptedPlatform:
    return ScriptedPlatform()


@pytest.fixture
def terminator(platform, time) -> Terminator:
    return Terminator(platform, DirectExecutor(), time)


def begin(terminator: Terminator) -> None:
    terminator.begin([NODE])
    terminator.abort([NODE])


def escalate_at(terminator: Terminator, time, seconds: float, not_ours=frozenset(), task: TaskView = TASK) -> None:
    """Escalate so many seconds after the termination has begun."""
    time.now = 1000.0 + seconds
    terminator.escalate([task], not_ours)


def test_abort_is_one_call_and_enters_node(platform, terminator):
    begin(terminator)

    assert platform.calls == [("abort", "ydid:1")]
    assert terminator.node_ids == {"worker-1"}


def test_abort_is_retried_after_failed_call(platform, terminator, time, caplog):
    platform.error = Unavailable("no answer")
    begin(terminator)
    assert "ydid:1 could not be ended and will be retried: no answer" in caplog.text

    escalate_at(terminator, time, ABORT_AGAIN_SECONDS - 1)
    assert len(platform.calls) == 1
    escalate_at(terminator, time, ABORT_AGAIN_SECONDS)

    assert platform.calls == [("abort", "ydid:1")] * 2


def test_repeated_abort_is_repeated_again(platform, terminator, time):
    begin(terminator)
    for number in range(1, 4):
        escalate_at(terminator, time, number * ABORT_AGAIN_SECONDS)

    assert platform.calls == [("abort", "ydid:1")] * 4


def test_acknowledged_abort_is_not_retried_soon(platform, terminator, time):
    platform.aborted = replace(TASK, abort_requested=True)
    begin(terminator)

    escalate_at(terminator, time, ABORT_AGAIN_SECONDS)

    assert platform.calls == [("abort", "ydid:1")]


def test_escalation_shuts_down_node_then_terminates_instance(platform, terminator, time, caplog):
    begin(terminator)
    escalate_at(terminator, time, SHUT_DOWN_NODE_SECONDS)
    escalate_at(terminator, time, TERMINATE_INSTANCE_SECONDS)

    assert platform.calls[1:] == [("shut down", "n"), ("terminate", "compute", "instance")]
    assert "termination of node worker-1 was requested 60 s ago, and its task is still EXECUTING" in caplog.text
    assert caplog.messages[-1].endswith("terminating its instance")


def test_escalation_only_aborts_on_machines_that_are_not_ours(platform, terminator, time):
    begin(terminator)
    for seconds in (SHUT_DOWN_NODE_SECONDS, TERMINATE_INSTANCE_SECONDS):
        escalate_at(terminator, time, seconds, not_ours={"g"})

    assert set(platform.calls) == {("abort", "ydid:1")}


def test_escalation_terminates_no_instance_of_pool_without_compute_requirement(platform, terminator, time):
    platform.compute_requirement_id = None
    begin(terminator)

    escalate_at(terminator, time, TERMINATE_INSTANCE_SECONDS)

    assert platform.calls == [("abort", "ydid:1")]


def test_failed_escalation_is_repeated(platform, terminator, time, caplog):
    begin(terminator)
    platform.error = Unavailable("no answer")
    escalate_at(terminator, time, TERMINATE_INSTANCE_SECONDS)
    assert "n could not be ended and will be retried: no answer" in caplog.text
    escalate_at(terminator, time, TERMINATE_INSTANCE_SECONDS + 60)

    assert platform.calls.count(("terminate", "compute", "instance")) == 2


def test_escalations_are_logged_up_to_a_maximum(platform, terminator, time, caplog):
    tasks = [replace(TASK, name=f"worker-{number}", id=f"ydid:{number}") for number in range(MAX_LOGGED + 5)]
    nodes = [replace(NODE, id=task.name, task_id=task.id) for task in tasks]
    terminator.begin(nodes)
    terminator.abort(nodes)
    time.now += SHUT_DOWN_NODE_SECONDS

    terminator.escalate(tasks, frozenset())

    assert len(caplog.messages) == MAX_LOGGED + 1
    assert caplog.messages[-1] == "... and likewise for 5 more nodes"


@pytest.mark.parametrize("adopts", [False, True])
def test_observe_adopts_foreign_aborts_only_if_configured(platform, time, adopts):
    terminator = Terminator(platform, DirectExecutor(), time, adopts=adopts)

    terminator.observe([replace(TASK, abort_requested=True)])

    assert bool(terminator.node_ids) is adopts
