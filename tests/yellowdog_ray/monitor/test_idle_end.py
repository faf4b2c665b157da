"""The steps of an idle cluster's end, and what withdraws it. `simulation/test_home.py` has its life."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.inventory.conftest import TAG, make_work
from tests.yellowdog_ray.monitor.idle_parts import HEAD, WORKERS, Parts, add_workers
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.monitor.idle_end import FAILED_ROUNDS, Begun, IdleEnd
from yellowdog_ray.monitor.idleness import Idleness
from yellowdog_ray.monitor.ray_use import RayUse


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
