"""Case 6: termination of N workers on a slow platform."""

from __future__ import annotations

from benchmarks.contenders import RAYDOG, Contender
from benchmarks.results import Report
from benchmarks.session import Session
from benchmarks.stage import Stage, stage

NAME = "shrink"
TITLE = "Termination of all workers"

SIZES = (100, 1_000)
DELAY_SECONDS = 0.05
GOAL_SECONDS = 10.0


def run(session: Session) -> Report:
    """Terminate all workers at once, several times."""
    report = Report(NAME)
    for contender in session.contenders:
        for size in _sizes(session, contender):
            measure(session, report, contender, size, DELAY_SECONDS)
    return report


def _sizes(session: Session, contender: Contender) -> tuple[int, ...]:
    if contender is not RAYDOG:
        return SIZES[:1]  # its calls are sequential
    return SIZES[-1:] if session.quick else SIZES


def measure(
    session: Session, report: Report, contender: Contender, size: int, delay: float, runs: int | None = None
) -> None:
    """Measure one size at one delay of the platform."""
    what = f"{size:,} nodes at {delay * 1e3:.0f} ms per call"
    with session.attempt(report, contender, what), stage(contender, session.cores) as on:
        for number in range(runs or session.runs_of(contender)):
            session.say(f"{contender.label}: {size:,} nodes, {delay * 1e3:.0f} ms, run {number + 1}")
            on.grow(size)
            on.lab.delay(delay)
            _once(report, on, what, size, GOAL_SECONDS if size == SIZES[-1] and delay <= DELAY_SECONDS else None)
            on.lab.delay(0)


def _once(report: Report, on: Stage, what: str, size: int, most: float | None) -> None:
    key, mark = on.contender.key, on.lab.mark()
    ended = on.provider.do("terminate")
    longest = on.wait_until_gone(listing=True)
    calls = on.lab.timed_calls(mark)
    # The head may publish its state meanwhile, in a work requirement of its own.
    ends = [(wall, route) for wall, _, route in calls if not route.startswith("GET") and "/tasks/" in route]
    report.row(f"{what}: until the platform has accepted all aborts", "s", most).add(key, ends[-1][0] - ended["began"])
    report.row(f"{what}: Ray's loop is blocked", "s", 1.0).add(key, ended["seconds"])
    report.row(f"{what}: longest listing during the terminations", "s").add(key, longest)
    report.row(f"{what}: abort calls", "", size).add(key, len(ends))
