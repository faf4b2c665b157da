"""The end of an idle cluster on a platform of views. `simulation/test_home.py` has its life."""

import json
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.inventory.conftest import TAG, make_work
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.errors import NotFound, Unavailable
from yellowdog_ray.monitor.idle_end import FAILED_ROUNDS, Begun, IdleEnd
from yellowdog_ray.monitor.idleness import Idleness
from yellowdog_ray.monitor.ray_use import RayUse
from yellowdog_ray.names import pool_name, token_of
from yellowdog_ray.platform.types import Counts, PoolView, TaskPhase

HEAD = "head-0a0b0c0d"


class Parts:
    """The parts of one end, which records its calls."""

    def __init__(self, folder):
        self.calls = []
        self.work = make_work()
        self.pool = PoolView("p", TAG, "RUNNING", False, "c")
        self.pools = {}
        self.is_over = True
        self.is_launching = False
        self.refusal = None
        self.refused = {"p", "w"}
        self.unanswered_ends = 0
        self.unreadable = ""
        self.begun = Begun(folder / "store" / "idle-end", HEAD)
        self.platform = SimpleNamespace(
            find_pool=self._find_pool,
            shut_down_pool=self._shut_down_pool,
            listed_pools=lambda _: [],
            pool=None,
            end_compute_after=self._end_compute_after,
            documents=lambda *_, **__: [],
            cancel_work_requirement=self._cancel,
        )
        self.is_closed = False
        self.launcher = SimpleNamespace(close=self._close, open=self._open)

    def _close(self, _why):
        self.is_closed = self.is_closed or not self.is_launching
        return not self.is_launching

    def _open(self):
        self.is_closed = False

    def _shut_down_pool(self, pool_id):
        self.calls.append(f"shut down {pool_id}")
        if self.refusal is not None and pool_id in self.refused:
            raise self.refusal

    def _end_compute_after(self, compute_id, time):
        self.calls.append(f"end {compute_id} in {time.seconds} s")
        if self.unanswered_ends:
            self.unanswered_ends -= 1
            raise Unavailable("no answer")

    def _cancel(self, work_id):
        self.calls.append(f"cancel {work_id}")
        if self.refusal is not None and "work" in self.refused:
            raise self.refusal

    def _find_pool(self, name):
        if isinstance(self.pool, Exception):
            raise self.pool
        if name == self.unreadable:
            raise Unavailable("no answer")
        return self.pools.get(name, self.pool)

    def note_final(self):
        if "final" not in self.calls:
            self.calls.append("final")

    @property
    def rest(self):
        """The calls of a final end of the head alone."""
        return ["final", "end c in 45 s", f"cancel {self.work.id}"]

    def make(self):
        """The end as a new process makes it."""
        cluster = SimpleNamespace(find=lambda: self.work)
        return IdleEnd(self.platform, cluster, self.launcher, ScriptedIdleness(self), self.begun)


class ScriptedIdleness:
    """Whether the time of these parts is over."""

    def __init__(self, parts):
        self._parts = parts
        self.end = parts.note_final
        self.tick = lambda: None

    def is_over(self):
        return self._parts.is_over

    @property
    def seconds_left(self):
        return 0.0 if self._parts.is_over else None


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path)


def test_end_requests_pools_before_the_work_requirement_and_notes_it_before(parts):
    parts.make().tick(Snapshot())

    assert parts.calls == ["shut down p", *parts.rest]
    assert parts.begun.read() == [TAG]


def test_cluster_in_use_is_left_alone(parts):
    parts.is_over = False

    parts.make().tick(Snapshot())

    assert (parts.calls, parts.begun.read()) == ([], None)


def test_launch_under_way_delays_the_end(parts):
    parts.is_launching = True
    end = parts.make()
    end.tick(Snapshot())
    assert (parts.calls, parts.begun.read()) == ([], None)

    parts.is_launching = False
    end.tick(Snapshot())
    assert parts.calls


def test_pool_that_cannot_be_read_delays_the_end(parts):
    parts.pool = Unavailable("no answer")

    with pytest.raises(Unavailable):
        parts.make().tick(Snapshot())

    assert (parts.calls, parts.begun.read()) == ([], None)


def fail_to_read(end, times):
    """Let an end try in vain to read the pools."""
    for _ in range(times):
        with pytest.raises(Unavailable):
            end.tick(Snapshot())


WORKERS = pool_name("demo", "cpu", token_of(TAG))


def add_workers(parts):
    """Let the cluster have a worker pool, named `WORKERS`, with the id `w`."""
    (head,) = parts.work.groups
    placement = replace(head.placement, worker_tags=(WORKERS,))
    parts.work = replace(parts.work, groups=(head, replace(head, name="cpu", worker_tag=WORKERS, placement=placement)))
    parts.pools[WORKERS] = PoolView("w", WORKERS, "RUNNING", False, "cw")


def test_worker_pool_that_stays_unreadable_does_not_keep_the_cluster_alive(parts):
    add_workers(parts)
    parts.unreadable = WORKERS
    end = parts.make()
    fail_to_read(end, FAILED_ROUNDS - 1)
    assert parts.calls == []

    for _ in range(FAILED_ROUNDS - 1):
        end.tick(Snapshot())
        assert set(parts.calls) == {"shut down p", "final"}
    end.tick(Snapshot())

    assert parts.calls[-2:] == parts.rest[1:]


@pytest.mark.parametrize("refused", ["w", "p"])
def test_refused_end_of_a_pool_leaves_machines_and_work_requirement_alone(parts, refused):
    """The cluster may be in use again before the next request, which ends the workers' pools before the head's."""
    add_workers(parts)
    parts.refusal, parts.refused = Unavailable("status 500"), {refused}
    end = parts.make()
    end.tick(Snapshot())
    assert parts.calls == ["shut down w", "shut down p"][: 1 + (refused == "p")]

    parts.refusal, parts.calls = None, []
    end.tick(Snapshot())
    assert parts.calls == ["shut down w", "shut down p", "final", "end cw in 45 s", *parts.rest[1:]]


@pytest.mark.parametrize("refused", ["w", "p"])
def test_end_that_is_refused_for_good_does_not_keep_the_cluster_alive(parts, refused):
    add_workers(parts)
    parts.refusal, parts.refused = Unavailable("status 403"), {refused}
    end = parts.make()

    for _ in range(FAILED_ROUNDS - 1):
        end.tick(Snapshot())
    assert {call.split(" ")[0] for call in parts.calls} == {"shut"}

    for _ in range(FAILED_ROUNDS):
        end.tick(Snapshot())
    assert parts.calls[-2:] == parts.rest[1:]
    assert "end cw in 45 s" in parts.calls


def test_cancellation_comes_first_where_the_heads_pool_cannot_be_ended(parts):
    """Until something has had an effect, no machine may get an end: a use may come."""
    parts.refusal = Unavailable("status 403")
    end = parts.make()

    for _ in range(FAILED_ROUNDS):
        end.tick(Snapshot())

    assert parts.calls[FAILED_ROUNDS:] == [f"cancel {parts.work.id}", "final"]


@pytest.mark.parametrize(("status", "final"), [("RUNNING", False), ("SHUTDOWN", True)])
def test_use_during_the_last_refused_end_of_the_heads_pool_prevents_the_cancellation(parts, status, final):
    parts.refusal, parts.refused = Unavailable("no answer"), {"p"}
    end = parts.make()
    for _ in range(FAILED_ROUNDS - 1):
        end.tick(Snapshot())

    def shut_down(_pool_id):
        parts.is_over = False
        parts.pool = replace(parts.pool, status=status, finished=final)
        raise parts.refusal

    parts.platform.shut_down_pool = shut_down
    end.tick(Snapshot())
    assert f"cancel {parts.work.id}" not in parts.calls
    parts.platform.shut_down_pool = parts.calls.append
    end.tick(Snapshot())

    assert (f"cancel {parts.work.id}" in parts.calls) is final
    assert parts.is_closed is final


def test_end_without_any_effect_is_withdrawn_by_a_use(parts):
    add_workers(parts)
    parts.refusal, parts.refused = Unavailable("status 403"), {"w", "p", "work"}
    end = parts.make()
    for _ in range(2 * FAILED_ROUNDS):
        end.tick(Snapshot())
    assert {call.split(" ")[0] for call in parts.calls} == {"shut", "cancel"}
    parts.refusal, parts.calls, parts.is_over = None, [], False

    end.tick(Snapshot())

    assert (parts.calls, parts.begun.read()) == ([], None)


def test_heads_pool_that_stays_unreadable_is_left_to_the_cancellation(parts):
    """Until then nothing has had an effect."""
    parts.pool = Unavailable("no answer")
    end = parts.make()
    fail_to_read(end, FAILED_ROUNDS - 1)
    for _ in range(FAILED_ROUNDS - 1):
        end.tick(Snapshot())
    assert parts.calls == []

    end.tick(Snapshot())

    assert parts.calls == [f"cancel {parts.work.id}", "final"]


def test_step_waits_for_its_own_failures_after_another_has_used_up_its_rounds(parts):
    add_workers(parts)
    parts.unreadable = WORKERS
    parts.refusal, parts.refused = Unavailable("status 500"), {"p"}
    end = parts.make()
    fail_to_read(end, FAILED_ROUNDS - 1)
    for _ in range(FAILED_ROUNDS - 1):
        end.tick(Snapshot())
    assert set(parts.calls) == {"shut down p"}

    end.tick(Snapshot())

    assert parts.calls[-2:] == [f"cancel {parts.work.id}", "final"]


def test_only_failures_in_a_row_count(parts):
    parts.is_launching = True
    end = parts.make()
    for _ in range(3):
        parts.pool = Unavailable("no answer")
        fail_to_read(end, FAILED_ROUNDS - 1)
        parts.pool = PoolView("p", TAG, "RUNNING", False, "c")
        end.tick(Snapshot())

    assert parts.calls == []


def test_use_opens_the_launcher_although_the_heads_pool_stays_unreadable_after_a_refused_end(parts):
    """Even if its end was accepted: the head continues, and the next end of the idle cluster completes this one."""
    parts.refusal, parts.refused = Unavailable("status 502"), {"p"}
    end = parts.make()
    end.tick(Snapshot())
    parts.pool, parts.is_over = Unavailable("no answer"), False
    fail_to_read(end, FAILED_ROUNDS - 1)
    assert parts.is_closed

    end.tick(Snapshot())
    assert (parts.is_closed, parts.begun.read()) == (False, None)

    parts.pool, parts.is_over, parts.calls = PoolView("p", TAG, "TERMINATED", True, "c"), True, []
    end.tick(Snapshot())
    assert parts.calls == parts.rest


def test_heads_pool_whose_end_may_have_been_accepted_is_noted_while_it_cannot_be_read(parts):
    parts.refusal, parts.refused = Unavailable("status 502"), {"p"}
    end = parts.make()
    end.tick(Snapshot())
    parts.pool = Unavailable("no answer")
    fail_to_read(end, FAILED_ROUNDS - 1)
    end.tick(Snapshot())
    parts.is_over = False
    fail_to_read(end, 1)

    parts.pool, parts.calls = PoolView("p", TAG, "TERMINATED", True, "c"), []
    end.tick(Snapshot())

    assert parts.calls == parts.rest


@pytest.mark.parametrize("is_over", [False, True])
def test_end_is_due_until_it_is_withdrawn(parts, is_over):
    parts.refusal, parts.refused, parts.is_launching = Unavailable("status 502"), {"p"}, False
    end = parts.make()
    end.tick(Snapshot())
    parts.is_over = is_over

    assert end.is_due
    end.tick(Snapshot())
    assert end.is_due is is_over


def test_use_withdraws_an_end_until_the_heads_pool_has_ended(parts):
    add_workers(parts)
    parts.refusal, parts.refused = Unavailable("status 502"), {"w"}
    end = parts.make()
    end.tick(Snapshot())
    parts.refusal, parts.calls, parts.is_over = None, [], False

    end.tick(Snapshot())

    assert (parts.calls, parts.begun.read()) == ([], None)


def test_use_that_is_read_after_the_workers_pools_withdraws_the_end(parts):
    add_workers(parts)
    readings = iter([True, True, False])
    end = parts.make()
    end._idleness.is_over = lambda: next(readings)

    end.tick(Snapshot())

    assert (parts.calls, parts.begun.read()) == (["shut down w"], None)


def test_use_withdraws_an_end_while_the_heads_pool_that_was_kept_cannot_be_read(parts):
    add_workers(parts)
    parts.refusal, parts.refused = Unavailable("status 502"), {"w"}
    end = parts.make()
    end.tick(Snapshot())
    parts.pool, parts.is_over = Unavailable("no answer"), False

    end.tick(Snapshot())

    assert parts.begun.read() is None


def test_final_end_is_completed_by_the_next_process_whatever_its_pools_show(parts):
    """Machines have an end already: a use cannot keep the cluster any more."""
    add_workers(parts)
    parts.refusal, parts.refused = Unavailable("status 403"), {"w"}
    end = parts.make()
    for _ in range(FAILED_ROUNDS):
        end.tick(Snapshot())
    assert parts.begun.is_final
    parts.is_over = False

    next_process = parts.make()
    for _ in range(FAILED_ROUNDS):
        next_process.tick(Snapshot())

    assert parts.calls[-1] == f"cancel {parts.work.id}"


def test_unreadable_pool_delays_the_rest_of_a_final_end(parts):
    add_workers(parts)
    parts.unanswered_ends = 1
    end = parts.make()
    end.tick(Snapshot())
    parts.unreadable = WORKERS
    end.tick(Snapshot())
    assert f"cancel {parts.work.id}" not in parts.calls

    parts.unreadable = ""
    end.tick(Snapshot())
    assert parts.calls[-3:] == ["end cw in 45 s", *parts.rest[1:]]


def test_failures_before_a_use_do_not_count(parts):
    parts.pool = Unavailable("no answer")
    end = parts.make()
    fail_to_read(end, FAILED_ROUNDS - 1)
    parts.is_over = False
    end.tick(Snapshot())
    parts.is_over = True

    fail_to_read(end, 1)


@pytest.mark.parametrize("live", [0, 1])
def test_worker_pool_that_is_not_shown_delays_the_end_while_it_has_tasks(parts, live):
    add_workers(parts)
    head, workers = parts.work.groups
    workers = replace(workers, counts=Counts({TaskPhase.EXECUTING: live}))
    parts.work = replace(parts.work, groups=(head, workers))
    parts.pools[WORKERS] = None
    end = parts.make()

    with pytest.raises(NotFound) if live else nullcontext():
        end.tick(Snapshot())

    assert bool(parts.calls) == (not live)


def test_failed_end_of_machines_is_requested_again_until_it_succeeds(parts):
    """The work requirement's cancellation may fail too, so that this process continues."""
    parts.unanswered_ends = 1
    parts.pool = replace(parts.pool, status="TERMINATED", finished=True)
    parts.begun.write([TAG])
    end = parts.make()

    for _ in range(3):
        end.tick(Snapshot())

    cancel = f"cancel {parts.work.id}"
    assert parts.calls == ["final", "end c in 45 s", cancel, "end c in 45 s", cancel, cancel]


def test_head_ends_after_a_failed_end_of_workers_machines_is_repeated(parts):
    """Without the head nobody would repeat it."""
    add_workers(parts)
    parts.unanswered_ends = FAILED_ROUNDS
    end = parts.make()

    for _ in range(FAILED_ROUNDS - 1):
        end.tick(Snapshot())
    assert f"cancel {parts.work.id}" not in parts.calls

    end.tick(Snapshot())
    assert parts.calls[-3:] == ["end cw in 45 s", *parts.rest[1:]]


def test_machines_of_a_pool_that_ended_before_get_an_end_too(parts):
    """An end that was withdrawn or killed has shut it down, and its tasks may ignore their abort."""
    add_workers(parts)
    parts.pools[WORKERS] = replace(parts.pools[WORKERS], finished=True)

    parts.make().tick(Snapshot())

    assert parts.calls == ["shut down p", "final", "end cw in 45 s", *parts.rest[1:]]


def test_end_by_somebody_else_is_left_to_them(parts):
    parts.work = make_work(status="CANCELLING")

    parts.make().tick(Snapshot())

    assert parts.calls == []


class TestBegun:
    """The note for the next process."""

    def test_note_of_another_head_does_not_count(self, parts, tmp_path):
        parts.begun.write([TAG])

        assert Begun(tmp_path / "store" / "idle-end", "head-0e0f0a0b").read() is None

    @pytest.mark.parametrize("content", ["", "[]", "not JSON", json.dumps({"head": HEAD}), '{"head": 1, "pools": []}'])
    def test_damaged_note_does_not_count(self, parts, tmp_path, content):
        (tmp_path / "store").mkdir()
        (tmp_path / "store" / "idle-end").write_text(content)

        assert parts.begun.read() is None

    def test_full_disk_does_not_stop_the_end(self, parts, monkeypatch, caplog):
        def full(*_):
            raise OSError("No space left on device")

        monkeypatch.setattr("yellowdog_ray.monitor.idle_end.write_private", full)

        parts.make().tick(Snapshot())

        assert f"cancel {parts.work.id}" in parts.calls
        assert "No space left on device" in caplog.text


def test_idle_cluster_ends_although_each_call_takes_half_a_minute(parts):
    """No reading of the use may be over a minute after the one before."""
    clock = SimpleNamespace(now=0.0)

    def slow(answer):
        def call(*_):
            clock.now += 25
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    parts.platform.find_pool, parts.platform.listed_pools = slow(None), slow(Unavailable("no answer"))
    use = RayUse("", frozenset())
    idleness = Idleness(lambda: 15, lambda: use, lambda: 0, lambda: clock.now, lambda: datetime.now(timezone.utc))
    cluster = SimpleNamespace(find=slow(parts.work))
    end = IdleEnd(parts.platform, cluster, parts.launcher, idleness, parts.begun)

    while clock.now < 7200 and f"cancel {parts.work.id}" not in parts.calls:
        clock.now += 5
        idleness.tick()
        with suppress(Unavailable):
            end.tick(Snapshot())

    assert f"cancel {parts.work.id}" in parts.calls
