"""The command behind `scripts/bench`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks.cases import growth, life, listing, lookups, shrink
from benchmarks.contenders import RAYDOG
from benchmarks.machine import Cores, description
from benchmarks.results import Report
from benchmarks.session import RUNS, Session
from benchmarks.tables import terminal_table

CASES = {case.NAME: case for case in (listing, growth, shrink, lookups, life)}

_HELP = f"""\
Measures the node provider on a local platform, and prints a table per case.

  scripts/bench                  every case, the median of {RUNS} runs: about 25 minutes
  scripts/bench --quick          every case, one run, small sizes: under 3 minutes
  scripts/bench listing growth   these cases only

Cases:
{chr(10).join(f"  {name:9} {case.TITLE}" for name, case in CASES.items())}

A figure is a median, with the least and the most in brackets. Times are worse while others work on the machine; counts
are not. Exits with 1 if RayDog misses a goal.
"""


def main() -> int:
    """Measure what is asked for; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="which cases; all if none is named")
    parser.add_argument("--quick", action="store_true", help="one run each, and no sizes that take long")
    parser.add_argument("--json", type=Path, metavar="DIR", help="write a file per case, with the value of every run")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.cases if name not in CASES]
    if unknown:
        parser.error(f"there is no case {', '.join(unknown)}: there are {', '.join(CASES)}")
    logging.disable(logging.ERROR)
    console, progress = Console(), Console(stderr=True)
    session = Session(arguments.quick, [RAYDOG], Cores.of_this_machine(), progress)
    missed = False
    for name in arguments.cases or CASES:
        report = _measured(name, session)
        console.print(terminal_table(report, CASES[name].TITLE, session.contenders))
        if arguments.json:
            arguments.json.mkdir(parents=True, exist_ok=True)
            file = arguments.json / f"{name}.json"
            file.write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")
        missed |= any(row.met(RAYDOG.key) is False for row in report.rows)
    return 1 if missed else 0


def _measured(name: str, session: Session) -> Report:
    session.console.print(f"[bold]{name}[/]: {CASES[name].TITLE}", highlight=False)
    began, machine = time.monotonic(), description()
    report = CASES[name].run(session)
    report.machine = {**machine, "seconds": round(time.monotonic() - began), "runs": session.runs}
    session.say(f"{name}: {report.machine['seconds']} s")
    return report


if __name__ == "__main__":
    sys.exit(main())
