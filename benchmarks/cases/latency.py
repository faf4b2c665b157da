"""Case 10: the other cases with 50 or 200 ms of additional latency per call."""

from __future__ import annotations

from benchmarks.cases import commands, growth, listing, shrink
from benchmarks.contenders import PUBLISHED, RAYDOG
from benchmarks.results import Report
from benchmarks.session import Session

NAME = "latency"
TITLE = "Slow connections"

DELAYS = (0.05, 0.2)
NODES, FEW_NODES = 1_000, 100
LIVES = 2


def run(session: Session) -> Report:
    """Run every case whose time includes the platform's, at each delay."""
    report = Report(NAME)
    for contender in session.contenders:
        ours = contender is RAYDOG
        for delay in DELAYS if ours and not session.quick else DELAYS[-1:]:
            session.say(f"{contender.label}: {delay * 1e3:.0f} ms per call")
            nodes = NODES if ours else FEW_NODES
            listing.measure_at(session, report, contender, nodes, delay)
            growth.measure(session, report, contender, "v2", nodes, delay)
            shrink.measure(session, report, contender, nodes, delay, runs=1)
            for number in range(0 if session.quick else LIVES):
                commands.live(session, report, contender, delay, phase=number / LIVES)
    report.note(
        f"Launches and terminations: one run each; `ray` commands: {LIVES} clusters. {PUBLISHED.label}: "
        f"{FEW_NODES} nodes, at the longer delay only."
    )
    return report
