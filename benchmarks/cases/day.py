"""Case 9: memory and tick time of the provider over a day with 100,000 launches."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.contenders import RAYDOG, Contender
from benchmarks.results import Report
from benchmarks.session import Session
from benchmarks.stage import Stage, stage

NAME = "day"
TITLE = "A day of a cluster"

LAUNCHES = 100_000
ROUNDS, QUICK_ROUNDS = 48, 3
ROUND_SECONDS = 1_800.0
TICK_SECONDS = 5.0
TICKS = 8
_WHY_NOT = "not measured: its head must be a real host, whose clock cannot be stepped"


def run(session: Session) -> Report:
    """Run one day."""
    report = Report(NAME)
    for contender in session.contenders:
        if contender is RAYDOG:
            _live(session, report, contender)
        else:
            report.row("launches").cannot(contender.key, _WHY_NOT)
    report.note(
        f"Every {ROUND_SECONDS / 60:.0f} minutes the cluster grows from 0 to 2,080 nodes and shrinks to 0 again. Ray "
        f"terminates a quarter of the nodes; the others are lost. Only the first {TICKS} ticks after each growth are "
        "measured. The first half excludes its first fifth, the warm-up. The clocks of provider and platform are "
        "stepped together."
    )
    return report


def _live(session: Session, report: Report, contender: Contender) -> None:
    rounds = QUICK_ROUNDS if session.quick else ROUNDS
    launches = LAUNCHES * rounds // ROUNDS
    points: list[dict[str, Any]] = []
    with stage(contender, session.cores, BENCH_SKIPPING_CLOCKS="1") as on:
        done = 0
        for number in range(rounds):
            count = launches * (number + 1) // rounds - done
            done += count
            points.append(_round(on, count) | {"launched": done})
            if number % 4 == 3:
                session.say(f"{contender.label}: hour {(number + 1) * ROUND_SECONDS / 3_600:.0f}, {done:,} launches")
    report.series[contender.key] = points
    first, last = points[rounds // 10 : rounds // 2], points[rounds // 2 :]
    report.row("launches").add(contender.key, done)
    for name, what, unit, most in (
        ("memory", "the provider's memory", "MiB", 1.1),
        ("tick", "a tick's processor time", "ms", 1.2),
    ):
        early = statistics.median(point[name] for point in first)
        late = statistics.median(point[name] for point in last)
        report.row(f"{what}, in the first half of the day", unit).add(contender.key, early)
        report.row(f"{what}, in the second half", unit).add(contender.key, late)
        report.row(f"{what}, the second half to the first", "times", most).add(contender.key, late / early)


def _round(on: Stage, count: int) -> dict[str, Any]:
    """Launch, run and terminate workers once."""
    on.provider.do("grow", count=count, **on.worker)
    _pass(on, TICK_SECONDS)
    on.join()
    _pass(on, TICK_SECONDS)
    spent = [_pass(on, TICK_SECONDS) for _ in range(TICKS)]
    _pass(on, ROUND_SECONDS - (TICKS + 4) * TICK_SECONDS)
    on.lab.end_workers(count * 3 // 4)
    on.provider.do("list")
    on.provider.do("terminate")
    on.wait_until_gone()
    on.join()
    _pass(on, TICK_SECONDS)
    _pass(on, TICK_SECONDS)
    return {"memory": on.provider.do("memory"), "tick": statistics.median(spent) * 1e3, "nodes": count}


def _pass(on: Stage, seconds: float) -> float:
    """Advance time and run one tick; return its processor time (seconds)."""
    on.lab.advance(seconds)
    on.provider.do("skip_time", seconds=seconds)
    return float(on.provider.do("tick")["cpu"])
