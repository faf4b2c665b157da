"""Workers whose tasks end early, with everything around them scripted."""

import pytest

from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.errors import LaunchBackedOff
from yellowdog_ray.monitor.early_ends import LASTING_SECONDS, EarlyEnds
from yellowdog_ray.platform.types import TaskView

TAGS = {"ray-node-type": "worker", "ray-user-node-type": "cpu"}


def node(node_id: str) -> ClusterNode:
    return ClusterNode(node_id, f"t-{node_id}", "g", Phase.RUNNING, TAGS)


def _ended(node_id: str, tags: dict[str, str]) -> TaskView:
    return TaskView(f"t-{node_id}", node_id, "g", False, True, "FAILED", False, None, tags, ("OOM",))


class Scripted:
    """The cluster and Ray's control store in one."""

    def __init__(self) -> None:
        self.answers = True
        self.ended: list[TaskView] = []
        self.joined_ids: set[str] = set()
        self.drained_ids: set[str] = set()

    def end(self, *node_ids: str, kind: str = "worker") -> None:
        tags = {**TAGS, "ray-node-type": kind}
        self.ended = [
            TaskView(f"t-{id_}", id_, "g", False, True, "FAILED", False, None, tags, ("OOM",)) for id_ in node_ids
        ]

    def take_ended(self) -> list[TaskView]:
        ended, self.ended = self.ended, []
        return ended

    def refresh(self) -> bool:
        return self.answers

    def joined(self, node_id: str, address: str | None) -> bool:
        return node_id in self.joined_ids

    def drained(self, node_id: str) -> bool:
        return node_id in self.drained_ids


@pytest.fixture
def world() -> Scripted:
    return Scripted()


@pytest.fixture
def backoff(time) -> BackOff:
    return BackOff(time)


@pytest.fixture
def early_ends(world, backoff, time) -> EarlyEnds:
    early_ends = EarlyEnds(world, backoff, world, time)
    early_ends.joined([])  # the first answer of Ray's control store in this process
    return early_ends


def reason(backoff: BackOff) -> str | None:
    try:
        backoff.check("cpu")
    except LaunchBackedOff as error:
        return error.code
    return None


def test_worker_that_ends_before_ray_joins_is_a_failed_launch(world, early_ends, backoff, caplog):
    world.end("w1", "w2")

    early_ends.tick(Snapshot())

    assert reason(backoff) == "EndedBeforeJoin"
    assert "2 node(s) of type 'cpu' failed (w1, w2): EndedBeforeJoin" in caplog.text
    assert "its task ended before Ray joined (FAILED; OOM)" in caplog.text


def test_ended_head_is_no_failed_launch(world, early_ends, backoff):
    world.end("h", kind="head")

    early_ends.tick(Snapshot())

    assert reason(backoff) is None


def test_ended_worker_is_judged_once_ray_answers(world, early_ends, backoff):
    world.end("w1")
    world.answers = False
    early_ends.tick(Snapshot())
    assert reason(backoff) is None

    world.answers = True
    early_ends.tick(Snapshot())

    assert reason(backoff) == "EndedBeforeJoin"


def test_worker_that_ends_soon_after_it_joined_is_a_failed_launch(world, early_ends, backoff, time):
    early_ends.joined([node("w1")])
    time.now += LASTING_SECONDS - 1
    world.end("w1")

    early_ends.tick(Snapshot())

    assert reason(backoff) == "EndedAfterJoin"


def test_worker_that_joined_and_ended_between_two_ticks_is_a_failed_launch(world, early_ends, backoff):
    world.end("w1")
    refresh, world.refresh = world.refresh, lambda: world.joined_ids.add("w1") or refresh()

    early_ends.tick(Snapshot())

    assert reason(backoff) == "EndedAfterJoin"


def test_worker_that_lasted_is_no_failed_launch(world, early_ends, backoff, time):
    early_ends.joined([node("w1")])
    time.now += LASTING_SECONDS
    early_ends.tick(Snapshot({"w1": node("w1")}))
    world.end("w1")

    early_ends.tick(Snapshot())

    assert reason(backoff) is None


def test_drained_worker_is_no_failed_launch(world, early_ends, backoff):
    early_ends.joined([node("w1")])
    world.drained_ids = {"w1"}
    world.end("w1")

    early_ends.tick(Snapshot())

    assert reason(backoff) is None


def test_worker_that_had_joined_before_this_process_started_is_no_failed_launch(world, backoff, time):
    early_ends = EarlyEnds(world, backoff, world, time)
    early_ends.joined([node("w1")])
    world.end("w1")

    early_ends.tick(Snapshot())

    assert reason(backoff) is None


def test_back_off_grows_while_workers_join_and_end(world, early_ends, backoff, time):
    for number in range(3):
        backoff.accepted("cpu")
        early_ends.joined([node(f"w{number}")])
        world.end(f"w{number}")
        early_ends.tick(Snapshot())
        time.now += 20

    backoff.accepted("cpu")
    early_ends.joined([node("w9")])
    world.end("w9")
    early_ends.tick(Snapshot())
    time.now += 39
    assert reason(backoff) == "EndedAfterJoin"


def test_lasting_worker_ends_the_back_off_of_its_type(world, early_ends, backoff, time):
    early_ends.joined([node("w1")])
    early_ends.joined([node("w2")])
    time.now += LASTING_SECONDS - 1
    world.end("w1")
    early_ends.tick(Snapshot({"w2": node("w2")}))
    assert reason(backoff) == "EndedAfterJoin"

    time.now += 1
    early_ends.tick(Snapshot({"w2": node("w2")}))

    assert reason(backoff) is None
