"""The end of an idle cluster whose pools cannot be read or ended, now and then or for good."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from tests.yellowdog_ray.inventory.conftest import TAG
from tests.yellowdog_ray.monitor.idle_parts import WORKERS, Parts, add_workers
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.errors import NotFound, Unavailable
from yellowdog_ray.monitor.idle_end import FAILED_ROUNDS
from yellowdog_ray.platform.types import Counts, PoolView, TaskPhase


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path)


def fail_to_read(end, times):
    """Let an end try in vain to read the pools."""
    for _ in range(times):
        with pytest.raises(Unavailable):
            end.tick(Snapshot())


def test_pool_that_cannot_be_read_delays_the_end(parts):
    parts.pool = Unavailable("no answer")

    with pytest.raises(Unavailable):
        parts.make().tick(Snapshot())

    assert (parts.calls, parts.begun.read()) == ([], None)


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


def test_use_withdraws_an_end_while_the_heads_pool_that_was_kept_cannot_be_read(parts):
    add_workers(parts)
    parts.refusal, parts.refused = Unavailable("status 502"), {"w"}
    end = parts.make()
    end.tick(Snapshot())
    parts.pool, parts.is_over = Unavailable("no answer"), False

    end.tick(Snapshot())

    assert parts.begun.read() is None


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
