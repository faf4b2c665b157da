"""Case 5: launch of N workers by Ray's real autoscalers, until all are accepted and listed."""

from __future__ import annotations

import math
import time

from benchmarks.contenders import PUBLISHED, RAYDOG, Contender
from benchmarks.results import Report
from benchmarks.session import Session
from benchmarks.stage import Stage, stage

NAME = "growth"
TITLE = "Launch of N workers"

VERSIONS = ("v2", "v1")
RUNS_OF = {10: 3, 100: 3, 1_000: 5, 10_000: 1}
PER_CALL = 1_000
ONE_TICK_SIZE = 1_000
TICK_SECONDS = 5.0
GIVE_UP_SECONDS, QUICK_GIVE_UP_SECONDS = 30.0, 15.0
_LOOK_SECONDS = 0.05


def run(session: Session) -> Report:
    """Launch each size in a fresh cluster, under either autoscaler."""
    report = Report(NAME)
    for contender in session.contenders:
        for version in VERSIONS:
            for size, runs in _plan(session, contender).items():
                for number in range(min(session.runs, runs)):
                    session.say(f"{contender.label}: {version}, {size:,} nodes, run {number + 1}")
                    measure(session, report, contender, version, size)
    report.note(
        f"A run times out after {GIVE_UP_SECONDS:.0f} s. Runs: {RUNS_OF[10]} of 10 and of 100 nodes, "
        f"{RUNS_OF[1_000]} of 1,000, {RUNS_OF[10_000]} of 10,000, where Ray itself takes nearly all the time. "
        f"{PUBLISHED.label}: one run of 10."
    )
    return report


def _plan(session: Session, contender: Contender) -> dict[int, int]:
    """Runs per size."""
    if contender is not RAYDOG:
        return {10: 1}
    return {10: 1, 1_000: 1} if session.quick else RUNS_OF


def measure(
    session: Session, report: Report, contender: Contender, version: str, size: int, delay: float = 0.0
) -> None:
    """Measure one launch at one delay of the platform."""
    what = f"{version}, {size:,} nodes" + (f" at {delay * 1e3:.0f} ms per call" if delay else "")
    switch = {"RAY_enable_autoscaler_v2": "1" if version == "v2" else "0", "BENCH_SKIPPING_CLOCKS": "1"}
    with (
        session.attempt(report, contender, what),
        stage(contender, session.cores, constructs=False, **switch) as on,
    ):
        on.provider.do("use_autoscaler", version=version, config_file=on.config_file)
        on.provider.do("autoscaler_tick", want=0)
        on.provider.do("skip_time", seconds=TICK_SECONDS)
        on.lab.delay(delay)
        _grow(session, report, on, what, size)


def _grow(session: Session, report: Report, on: Stage, what: str, size: int) -> None:
    give_up = QUICK_GIVE_UP_SECONDS if session.quick else GIVE_UP_SECONDS
    key, mark, began, ticks = on.contender.key, on.lab.mark(), time.monotonic(), 0
    before = on.provider.do("provider_seconds")
    while on.live() < size:
        if time.monotonic() - began > give_up:
            report.row(f"{what}: ticks").cannot(key, f"{on.live():,} nodes after {ticks} ticks")
            return
        on.provider.do("autoscaler_tick", want=size)
        ticks += 1
        next_tick = time.monotonic() + TICK_SECONDS  # Ray sleeps between its ticks
        while on.live() < size and time.monotonic() < next_tick:
            time.sleep(_LOOK_SECONDS)
    seconds, calls = time.monotonic() - began, on.lab.mark() - mark
    own = on.provider.do("provider_seconds") - before
    listed = on.provider.do("list")["nodes"] - 1
    report.row(f"{what}: ticks", "", 1 if size <= ONE_TICK_SIZE else None).add(key, ticks)
    report.row(f"{what}: until all are accepted", "s").add(key, seconds)
    report.row(f"{what}: of that in the provider", "s", 10.0).add(key, own)
    report.row(f"{what}: platform calls", "", math.ceil(size / PER_CALL) + 10).add(key, calls)
    report.row(f"{what}: nodes listed then").add(key, listed)
    point = {"seconds": seconds, "provider": own, "calls": calls, "ticks": ticks}
    report.series.setdefault(f"{key} {what.split(',')[0]}", {})[str(size)] = point
