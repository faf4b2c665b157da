"""Case 7: addresses, which autoscaler v1 looks up 12 times per node and tick."""

from __future__ import annotations

from benchmarks.contenders import RAYDOG
from benchmarks.results import Report
from benchmarks.session import Session
from benchmarks.stage import stage

NAME = "lookups"
TITLE = "Address lookups"

SIZES, QUICK_SIZES, FEW_SIZES = (100, 1_000, 10_000), (100, 1_000), (100,)


def run(session: Session) -> Report:
    """Look up every node's addresses as often as a tick does."""
    report = Report(NAME)
    for contender in session.contenders:
        with session.attempt(report, contender, "address lookups"), stage(contender, session.cores) as on:
            before = 0
            for size in FEW_SIZES if contender is not RAYDOG else QUICK_SIZES if session.quick else SIZES:
                on.grow(size - before)
                before = size
                for number in range(1 + session.runs_of(contender)):
                    mark = on.lab.mark()
                    figures = on.provider.do("addresses")
                    tick = "the first tick" if number == 0 else "a later tick"
                    what = f"{size:,} nodes, {tick}"
                    report.row(f"{what}: platform calls", "", 0).add(contender.key, on.lab.mark() - mark)
                    report.row(f"{what}: processor time", "ms").add(contender.key, figures["cpu"] * 1e3)
                    report.row(f"{what}: nodes with an address").add(contender.key, figures["nodes"])
    return report
