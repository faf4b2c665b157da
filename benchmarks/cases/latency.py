"""Case 10: the same against a platform across an ocean: every call takes 50 or 200 ms longer."""

from __future__ import annotations

from benchmarks.cases import commands, growth, listing, shrink
from benchmarks.results import Report
from benchmarks.session import Session

NAME = "latency"
TITLE = "A platform that answers later"

DELAYS = (0.05, 0.2)
NODES = 1_000


def run(session: Session) -> Report:
    """Everything whose time is also the platform's, at each delay."""
    report = Report(NAME)
    for contender in session.contenders:
        for delay in DELAYS:
            session.say(f"{contender.label}: {delay * 1e3:.0f} ms per call")
            listing.measure_at(session, report, contender, NODES, delay)
            growth.measure(session, report, contender, "v2", NODES, delay)
            shrink.measure(session, report, contender, NODES, delay)
            if not session.quick:
                commands.live(session, report, contender, delay)
    report.note("Ray's commands, and growth: one run each. The other figures: as many as elsewhere.")
    return report
