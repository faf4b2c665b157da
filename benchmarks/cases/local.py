"""Speed of the local platform, without a provider."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.local.hosts import measure_hosts
from benchmarks.local.nodes import measure_day, measure_nodes
from benchmarks.local.over_http import KEY, measure_http
from benchmarks.results import Report
from benchmarks.session import Session

NAME = "local"
TITLE = "The local platform"
COLUMNS = (Contender(KEY, "local platform", Path(sys.executable)),)


def run(session: Session) -> Report:
    """Measure each figure once per run."""
    report = Report(NAME)
    usable = os.sched_getaffinity(0)
    try:
        for number in range(session.runs):
            session.say(f"run {number + 1} of {session.runs}")
            measure_http(report, session.cores)
            measure_nodes(report, session.cores)
            measure_day(report, session.cores)
        session.say("namespace hosts")
        measure_hosts(report, session.cores, session.runs)
    finally:
        os.sched_setaffinity(0, usable)
    return report
