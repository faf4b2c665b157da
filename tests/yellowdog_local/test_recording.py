"""The record of calls: what is kept one by one, what is counted for ever, and that nothing secret is in it."""

from __future__ import annotations

import pytest

from yellowdog_local.recording import Calls, CallsDropped, RecordedCall
from yellowdog_local.state.clock import SteppedClock


def call(calls: Calls, path: str = "/work/tasks", *, status: int = 200, milliseconds: float = 1.0) -> None:
    calls.add(
        method="GET",
        path=path,
        route="/work/tasks/{id}" if "ydid" in path else path,
        status=status,
        milliseconds=milliseconds,
        bytes_in=10,
        bytes_out=100,
        agent="sdk",
        fault=None,
    )


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def test_calls_are_counted_by_pattern_status_and_mark(clock: SteppedClock) -> None:
    calls = Calls(clock, 10)
    call(calls)
    call(calls, "/work/tasks/ydid:task:1", status=404)
    mark = calls.mark()
    call(calls)
    call(calls, "/work/tasks/ydid:task:2")

    assert (calls.count(), calls.count(since=mark)) == (4, 2)
    assert calls.count("GET /work/tasks") == 2
    assert calls.count("GET /work/tasks/{id}") == calls.count("GET /work/tasks/*") == 2
    assert calls.count("GET /work/tasks/ydid:task:2") == 1
    assert calls.count("POST /work/tasks") == 0
    assert calls.count(status=404) == 1
    assert [made.path for made in calls.since(mark)] == ["/work/tasks", "/work/tasks/ydid:task:2"]
    assert [made.number for made in calls.since(limit=1)] == [4]


def test_call_has_both_clocks(clock: SteppedClock) -> None:
    calls = Calls(clock, 10)
    clock.advance(60)
    call(calls)
    (made,) = calls.since()

    assert made.time == clock.now()
    assert made.wall > 1_700_000_000
    assert made.as_json()["time"] == "2026-01-01T00:01:00+00:00"


def test_dropped_calls_are_counted_and_reported(clock: SteppedClock) -> None:
    calls = Calls(clock, 3)
    for _ in range(5):
        call(calls)
    (count,) = calls.routes()

    assert (count.count, count.bytes_in, count.bytes_out) == (5, 50, 500)
    assert calls.count(since=2) == 3
    with pytest.raises(CallsDropped, match="only the last 3 of 5 calls are kept"):
        calls.count()
    with pytest.raises(CallsDropped):
        calls.since(1)
    assert len(calls.since(limit=3)) == 3


def test_routes_show_failures_and_times_in_order_of_calls(clock: SteppedClock) -> None:
    calls = Calls(clock, 1000)
    call(calls, "/other", status=500)
    call(calls, "/other", status=0)
    for number in range(1, 101):
        call(calls, milliseconds=number)
    tasks, other = calls.routes()

    assert (tasks.method, tasks.route, tasks.count, tasks.failed) == ("GET", "/work/tasks", 100, 0)
    assert (tasks.p50, tasks.p95) == (51, 96)
    assert (other.route, other.count, other.failed) == ("/other", 2, 2)


def test_clear_deletes_calls_and_keeps_marks_valid(clock: SteppedClock) -> None:
    calls = Calls(clock, 3)
    for _ in range(5):
        call(calls)
    mark = calls.mark()
    calls.clear()
    assert (calls.since(), calls.routes(), calls.count()) == ([], [], 0)
    call(calls)
    assert calls.count(since=mark) == calls.count() == 1


def test_recorded_call_has_no_body_and_no_headers() -> None:
    known = {"number", "time", "wall", "method", "path", "route", "status", "milliseconds", "bytes_in", "bytes_out"}
    assert set(RecordedCall._fields) == known | {"agent", "fault"}
