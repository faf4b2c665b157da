"""Case 8: all platform calls from the launch of 1,000 workers to their termination ten minutes later."""

from __future__ import annotations

from benchmarks.contenders import PUBLISHED, RAYDOG, Contender
from benchmarks.results import Report
from benchmarks.session import Session
from benchmarks.stage import Stage, stage
from yellowdog_ray.config.limits import TICK_SECONDS

NAME = "life"
TITLE = "Platform calls from launch to termination"

NODES = 1_000
LIFE_TICKS = 300
FEW_TICKS = 6
DEATH_TICKS = 12


def run(session: Session) -> Report:
    """Count the calls once; they do not vary."""
    report = Report(NAME)
    for contender in session.contenders:
        with session.attempt(report, contender, "launch to termination"):
            _live(session, report, contender)
    report.note(
        f"{NODES:,} nodes are launched at once, run for {LIFE_TICKS * TICK_SECONDS / 60:.0f} minutes in ticks of "
        f"{TICK_SECONDS:.0f} s, and are terminated at once. Counts do not vary, so this is one run. "
        f"{PUBLISHED.label} runs only {FEW_TICKS} ticks: each takes seconds, and none calls the platform."
    )
    return report


def _live(session: Session, report: Report, contender: Contender) -> None:
    with stage(contender, session.cores, BENCH_SKIPPING_CLOCKS="1") as on:
        whole = on.lab.mark()
        on.provider.do("grow", count=NODES, **on.worker)
        _ticks(on, 2)
        on.join()
        _ticks(on, 2)
        born = on.lab.mark()
        ticks = LIFE_TICKS if contender is RAYDOG else FEW_TICKS
        _ticks(on, ticks)
        old = on.lab.mark()
        on.provider.do("terminate")
        on.wait_until_gone()
        _ticks(on, DEATH_TICKS)
        dead = on.lab.mark()
        key = contender.key
        report.row("per node, from launch to termination", "calls", 1.2).add(key, (dead - whole) / NODES)
        report.row("launch, boot, join", "calls").add(key, born - whole)
        report.row("ticks without change", "calls").add(key, old - born)
        report.row("termination", "calls").add(key, dead - old)
        report.series[key] = on.lab.calls(whole)


def _ticks(on: Stage, count: int) -> None:
    for _ in range(count):
        on.lab.advance(TICK_SECONDS)
        on.provider.do("skip_time", seconds=TICK_SECONDS)
        on.provider.do("tick")
