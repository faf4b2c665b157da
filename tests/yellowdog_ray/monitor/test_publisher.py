"""The publisher: what it puts on the platform after changes, and what it does when the platform fails."""

from datetime import datetime, timezone
from typing import Any

import pytest

from tests.yellowdog_ray.cluster_lab import LabCluster
from tests.yellowdog_ray.hand_moved_time import Time
from yellowdog_local import faults
from yellowdog_ray import names
from yellowdog_ray.cluster.journal import Act, Journal
from yellowdog_ray.cluster.published import IDLE_NOTICE, VERSION, BackOffState, HeadState, NodeTypeState, Shape, decode
from yellowdog_ray.monitor.publisher import CHECK_SECONDS, LEAST_BYTES, Publisher
from yellowdog_ray.monitor.publishing_pace import FIRST_SECONDS, LONGEST_SECONDS, SETTLE_SECONDS

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Desk:
    """A publisher whose time a test moves."""

    def __init__(self, cluster: LabCluster, time: Time) -> None:
        self.cluster = cluster
        self.time = time
        self.journal = Journal(cluster.platform.clock.now)
        self.enabled = True
        self.changes: dict[str, Any] = {}
        self.publisher = Publisher(cluster.platform, cluster, self.journal, self._compose, time, lambda: self.enabled)
        head_pool = cluster.groups[0].worker_tag
        self.tag, self.token = names.state_tag(head_pool), names.token_of(head_pool)

    def _compose(self, token: str, notices: list[Any]) -> HeadState:
        now = self.cluster.platform.clock.now()
        head = names.head_id(token)
        return HeadState(
            version=VERSION, cluster="demo", head=head, at=now, started=now, notices=notices, **self.changes
        )

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds // CHECK_SECONDS) + 1):
            self.publisher.tick(self.cluster.snapshot)
            self.publisher.close()
            self.time.now += CHECK_SECONDS

    def published(self) -> list[HeadState]:
        entries = sorted(self.cluster.platform.documents(self.tag), key=lambda entry: entry.created)
        read = [decode(self.cluster.platform.document(entry.id), "demo", self.token) for entry in entries]
        assert None not in read
        return [state for state in read if state is not None]

    def uncancelled(self) -> list[str]:
        return [entry.id for entry in self.cluster.platform.documents(self.tag, finished=False)]


@pytest.fixture
def desk(head_side, time):
    desk = Desk(head_side, time)
    desk.pass_time(SETTLE_SECONDS)
    assert len(desk.published()) == 1
    return desk


def test_state_is_published_once_until_it_changes(desk):
    desk.pass_time(5 * FIRST_SECONDS)

    assert len(desk.published()) == 1
    assert desk.uncancelled() == []


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"demand": []}, 2),
        ({"demand": [], "node_types": {"head": NodeTypeState(max_workers=0, alive=1)}}, 2),
        ({"demand": [Shape(resources={"CPU": 1.0})]}, 4),
        ({"demand": [], "node_types": {"cpu": NodeTypeState(max_workers=9, alive=1)}}, 4),
    ],
)
def test_state_that_may_explain_something_is_repeated(desk, local, changes, count):
    desk.changes = changes
    local.advance(1)
    desk.pass_time(FIRST_SECONDS + 2 * LONGEST_SECONDS + 30)

    assert len(desk.published()) == count


def test_node_that_becomes_idle_is_a_change(desk, local):
    busy = NodeTypeState(max_workers=9, alive=2, idle=0)
    desk.changes = {"demand": [], "node_types": {"cpu": busy}}
    local.advance(1)
    desk.pass_time(2 * FIRST_SECONDS)
    desk.changes = {"demand": [], "node_types": {"cpu": busy.model_copy(update={"idle": 1})}}
    local.advance(1)
    desk.pass_time(2 * FIRST_SECONDS)

    assert desk.published()[-1].node_types["cpu"].idle == 1


def test_decisions_are_published_once(desk, local):
    desk.journal.note(Act.LAUNCHED, "why", node_type="cpu", node_ids=["cpu-1"])
    local.advance(1)
    desk.pass_time(2 * FIRST_SECONDS)
    desk.journal.note(Act.TERMINATED, "why", node_type="cpu", node_ids=["cpu-1"])
    local.advance(1)
    desk.pass_time(3 * FIRST_SECONDS)

    assert [[decision.act for decision in state.decisions] for state in desk.published()] == [
        [],
        ["launched"],
        ["terminated"],
    ]


def publish_launches(desk, local):
    """Publish decisions until the next one waits for the pace; gives the number of records."""
    for number in range(4):
        desk.journal.note(Act.LAUNCHED, f"{number}")
        local.advance(1)
        desk.pass_time(5 * FIRST_SECONDS)
    return len(desk.published())


def test_announcement_is_published_within_a_minute(desk, local):
    before = publish_launches(desk, local)

    desk.publisher.announce("idle", "this cluster ends in 10 min: it is idle")
    local.advance(1)
    desk.pass_time(FIRST_SECONDS)

    states = desk.published()
    assert len(states) == before + 1
    assert [notice.kind for notice in states[-1].notices] == ["idle"]
    assert states[-1].decisions[-1].act == "announced"


def test_announced_end_of_an_idle_cluster_is_in_the_records_name_until_it_is_withdrawn(desk, local):
    """`raydog list` reads it there, from one search for all clusters."""
    for text, at in (("soon", START), (None, None)):
        desk.publisher.announce(IDLE_NOTICE, text, at)
        local.advance(1)
        desk.pass_time(FIRST_SECONDS)

    records = sorted(desk.cluster.platform.documents(desk.tag), key=lambda entry: entry.created)
    assert [names.announced_end(record.name) for record in records] == [None, START, None]


def test_first_back_off_is_published_within_a_minute_and_later_ones_at_the_pace(desk, local):
    before = publish_launches(desk, local)

    for failures in range(1, 5):
        failing = BackOffState(node_type="cpu", code="EndedBeforeJoin", reason="1", failures=failures, until=START)
        desk.changes = {"back_offs": [failing]}
        local.advance(1)
        desk.pass_time(FIRST_SECONDS)

    states = desk.published()[before:]
    assert [each.failures for state in states for each in state.back_offs] == [1]


def test_withdrawn_announcement_is_published_too(desk, local):
    desk.publisher.announce("idle", "soon")
    local.advance(1)
    desk.pass_time(FIRST_SECONDS)
    desk.publisher.announce("idle", None)
    local.advance(1)
    desk.pass_time(FIRST_SECONDS)

    assert [len(state.notices) for state in desk.published()] == [0, 1, 0]


@pytest.mark.parametrize(
    "fault",
    [
        faults.Status(call="POST /work/requirements", status=503, times=1),
        faults.ApplyThenFail(call="POST /work/requirements", times=1),
        faults.Status(call="PUT /work/requirements/*/transition/*", status=503, times=1),
    ],
    ids=["refused", "applied and failed", "not cancelled"],
)
def test_failed_publication_is_repeated_and_nothing_stays_uncancelled(desk, local, fault):
    desk.journal.note(Act.LAUNCHED, "why", node_type="cpu", node_ids=["cpu-1"])
    with local.faults.during(fault):
        local.advance(1)
        desk.pass_time(4 * FIRST_SECONDS)

    assert desk.uncancelled() == []
    assert [decision.act for state in desk.published() for decision in state.decisions][-1] == "launched"


def test_publication_of_an_earlier_process_is_cancelled(desk, local, head_side, time):
    desk.cluster.platform.create_document(names.new_state_name(desk.token), desk.tag, "left")

    Desk(head_side, time).pass_time(SETTLE_SECONDS)

    assert desk.uncancelled() == []


def test_refused_document_becomes_smaller(desk, local):
    for number in range(150):
        desk.journal.note(Act.BACKED_OFF, "x" * 300, node_type=f"{number}", code="NotFound")
    with local.faults.during(faults.Status(call="POST /work/requirements", status=403, times=5)):
        local.advance(1)
        desk.pass_time(10 * FIRST_SECONDS)

    last = desk.published()[-1]
    assert len(last.model_dump_json(by_alias=True)) < 2 * LEAST_BYTES
    assert last.omitted + len(last.decisions) == 150


@pytest.mark.parametrize("stop", ["enabled", "torn down"])
def test_nothing_is_published_when_switched_off_or_torn_down(desk, local, stop, head_side):
    if stop == "enabled":
        desk.enabled = False
    else:
        head_side.platform.cancel_work_requirement(head_side.find().id)
        head_side.refresh()
    desk.journal.note(Act.LAUNCHED, "why")
    desk.pass_time(3 * FIRST_SECONDS)

    assert len(desk.published()) == 1


def test_tick_does_not_wait_for_a_slow_platform(desk, local):
    desk.journal.note(Act.LAUNCHED, "why")
    desk.time.now += FIRST_SECONDS
    with local.faults.during(faults.Hang(call="* /work/requirements")):
        for _ in range(5):  # the first one hangs, and no other is started
            desk.publisher.tick(desk.cluster.snapshot)
            desk.time.now += CHECK_SECONDS
        assert not desk.publisher._running.done()
    desk.publisher.close()


def test_unexpected_failure_is_logged_and_ends_nothing(desk, local, caplog, monkeypatch):
    monkeypatch.setattr(desk.publisher, "_compose", lambda *_: 1 + "a")

    desk.pass_time(FIRST_SECONDS)

    assert caplog.text.count("a bug in RayDog") == 1


def test_process_that_ends_again_and_again_does_not_flood_the_portal(desk, local, head_side, time):
    for _ in range(60):
        local.advance(30)
        Desk(head_side, time).pass_time(30)

    assert len(desk.published()) <= 6  # at 0, 1, 3, 7, 15 and 30 minutes


def test_record_that_could_not_be_cancelled_is_cancelled_when_publishing_is_switched_off(desk, local, head_side, time):
    desk.changes = {"max_workers": 7}
    with local.faults.during(faults.Status(call="PUT /work/requirements/*/transition/*", status=500)):
        desk.pass_time(FIRST_SECONDS + SETTLE_SECONDS)
    assert desk.uncancelled()
    up_again = Desk(head_side, time)
    up_again.enabled = False
    up_again.pass_time(CHECK_SECONDS)
    mark = local.calls.mark()
    up_again.pass_time(5 * FIRST_SECONDS)

    assert desk.uncancelled() == []
    assert local.calls.count("* /work/requirements*", since=mark) == 1  # this test's own
