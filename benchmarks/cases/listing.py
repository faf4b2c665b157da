"""Case 4: the cost of one listing by number of live nodes, after changes, and with many ended nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

from benchmarks.contenders import PUBLISHED, RAYDOG, Contender
from benchmarks.results import Report
from benchmarks.session import Session
from benchmarks.stage import Stage, stage
from yellowdog_ray.monitor.polling import CALM_SECONDS

NAME = "listing"
TITLE = "Listing, on every tick of the autoscaler"

SIZES = (10, 100, 1_000, 10_000)
SMALL_SIZES = (10, 100, 1_000)
QUICK_SIZES = (10, 1_000)
PAST, QUICK_PAST, PAST_SIZE = 100_000, 10_000, 1_000
PER_PAGE = 1_000
TICKS, FEW_TICKS = 10, 3
BETWEEN_TICKS, AFTER_CHANGE = 4.0, CALM_SECONDS + 1
"""Seconds before each listing. RayDog reads the nodes at that interval in a stable cluster; the cost of a change is
measured in the listing that detects it."""


def run(session: Session) -> Report:
    """Launch nodes up to each size in turn, and list."""
    report = Report(NAME)
    for contender in session.contenders:
        with session.attempt(report, contender, "listing"), _on_stage(session, contender) as on:
            before = 0
            for size in _sizes(session, contender):
                session.say(f"{contender.label}: {size:,} nodes")
                on.grow(size - before)
                before = size
                _measure(report, on, _name(size), size)
                if size == PAST_SIZE:
                    past = QUICK_PAST if session.quick else PAST
                    session.say(f"{contender.label}: {past:,} ended nodes")
                    on.lab.add_past(past)
                    _measure(report, on, f"{size:,} nodes, {past:,} in the past", size)
    report.note(f"{PUBLISHED.label} is measured up to {SMALL_SIZES[-1]:,} nodes; growing it further takes too long.")
    return report


def _on_stage(session: Session, contender: Contender) -> AbstractContextManager[Stage]:
    return stage(contender, session.cores, BENCH_SKIPPING_CLOCKS="1")


def _sizes(session: Session, contender: Contender) -> tuple[int, ...]:
    if session.quick:
        return QUICK_SIZES
    return SIZES if contender is RAYDOG else SMALL_SIZES


def measure_at(session: Session, report: Report, contender: Contender, size: int, delay: float) -> None:
    """Measure how long Ray's loop waits, for one size and one delay of the platform."""
    what = f"{size:,} nodes at {delay * 1e3:.0f} ms per call"
    with session.attempt(report, contender, f"listing {what}"), _on_stage(session, contender) as on:
        on.grow(size)
        on.lab.delay(delay)
        for name, change in ((f"listing {what}, nothing changed", 0), (f"listing {what}, one node ended", 1)):
            for _ in range(session.runs_of(contender)):
                on.lab.end_workers(change)
                on.provider.do("skip_time", seconds=AFTER_CHANGE if change else BETWEEN_TICKS)
                mark = on.lab.mark()
                report.row(f"{name}: time", "s").add(contender.key, on.provider.do("list")["seconds"])
                report.row(f"{name}: platform calls").add(contender.key, on.lab.mark() - mark)


def _measure(report: Report, on: Stage, what: str, size: int) -> None:
    ticks = TICKS if on.contender is RAYDOG else FEW_TICKS
    pages = math.ceil((size + 1) / PER_PAGE)
    on.provider.do("list")
    for _ in range(ticks):
        _one(report, on, f"{what}, nothing changed", 2, 5.0)
    for _ in range(ticks):
        on.provider.do("skip_time", seconds=BETWEEN_TICKS)
        cpu = on.provider.do("tick")["cpu"] * 1e3
        report.row(f"{what}: listing, tags and state of each node", "ms").add(on.contender.key, cpu)
    for _ in range(max(2, ticks // 2)):
        on.provider.do("skip_time", seconds=BETWEEN_TICKS)
        on.provider.do("list")  # Ray's next tick, to which a listing leaves what can wait
        _one(report, on, f"{what}, one node ended", 2 + pages, None, lambda: on.lab.end_workers(1))
    on.provider.do("list")
    if what == _name(size):
        for kind in ("nothing changed", "one node ended"):
            points = report.series.setdefault(on.contender.key, {}).setdefault(kind, {})
            points[str(size)] = report.row(f"{what}, {kind}: processor time").cells[on.contender.key].median


def _name(size: int) -> str:
    return f"{size:,} nodes"


def _one(
    report: Report,
    on: Stage,
    what: str,
    most_calls: int,
    most_ms: float | None,
    change: Callable[[], None] | None = None,
) -> None:
    if change:
        change()
    on.provider.do("skip_time", seconds=AFTER_CHANGE if change else BETWEEN_TICKS)
    mark = on.lab.mark()
    on.tags.traffic()
    figures = on.provider.do("list")
    traffic = on.tags.traffic()
    key = on.contender.key
    report.row(f"{what}: processor time", "ms", most_ms).add(key, figures["cpu"] * 1e3)
    report.row(f"{what}: time with the platform's answers", "ms").add(key, figures["seconds"] * 1e3)
    report.row(f"{what}: platform calls", "", most_calls).add(key, on.lab.mark() - mark)
    report.row(f"{what}: bytes exchanged with the platform", "bytes").add(key, on.lab.bytes(mark))
    report.row(f"{what}: Valkey commands").add(key, traffic.commands)
    report.row(f"{what}: bytes exchanged with Valkey", "bytes").add(key, traffic.bytes)
    report.row(f"{what}: ended nodes still listed", "", 0).add(key, figures["nodes"] - on.lab.live())
