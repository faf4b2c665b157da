"""The command behind `scripts/bench`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from rich.console import Console

from benchmarks import page, summary, tables
from benchmarks.cases import commands, day, growth, inspection, latency, life, listing, local, lookups, shrink, tokens
from benchmarks.contenders import PUBLISHED, RAYDOG, REPOSITORY, Contender
from benchmarks.machine import Cores, description
from benchmarks.results import Report
from benchmarks.session import Session

CASES: dict[str, ModuleType] = {
    case.NAME: case
    for case in (commands, listing, growth, shrink, lookups, life, day, latency, inspection, tokens, local)
}
CONTENDERS = (RAYDOG, PUBLISHED)
PAGES = {None: REPOSITORY / "docs/performance-tables.md", "local": REPOSITORY / "docs/performance-local.md"}
SUMMARY_PAGE = REPOSITORY / "docs/performance.md"
RESULTS = REPOSITORY / "docs/performance"


def main() -> int:
    """Run the requested cases. Returns 1 if a goal is missed; in a quick run, only a goal of a count decides."""
    arguments = _arguments()
    logging.disable(logging.ERROR)
    console, progress = Console(), Console(stderr=True)
    contenders = [one for one in CONTENDERS if one.key in arguments.only and one.python.exists()]
    session = Session(arguments.quick, contenders, Cores.of_this_machine(), progress)
    missed: list[str] = []
    doubtful: list[str] = []
    for name in () if arguments.page else arguments.cases or [case for case in CASES if case != "local"]:
        report = _measured(name, session)
        columns = _columns(name, contenders)
        console.print(tables.terminal_table(report, CASES[name].TITLE, columns))
        for row in report.rows:
            if tables.verdict(row, columns[0]) == "no":
                (doubtful if arguments.quick and row.unit else missed).append(f"{name}: {row.name}")
        if not arguments.quick:
            _keep(report)
    if not arguments.quick:
        _write_pages()
        _give_back()
        progress.print("Written: docs/performance*.md, docs/performance/")
    for name in doubtful:
        progress.print(f"[yellow]goal of a time missed in one run:[/] {name}", highlight=False)
    for name in missed:
        progress.print(f"[red]goal missed:[/] {name}", highlight=False)
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/bench", add_help=False)  # the script has the help
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--only", action="append", choices=[contender.key for contender in CONTENDERS])
    arguments = parser.parse_args()
    unknown = [name for name in arguments.cases if name not in CASES]
    if unknown:
        parser.error(f"unknown case: {', '.join(unknown)}; cases: {', '.join(CASES)}")
    arguments.only = arguments.only or [one.key for one in (CONTENDERS[:1] if arguments.quick else CONTENDERS)]
    return arguments


def _measured(name: str, session: Session) -> Report:
    session.console.print(f"[bold]{name}[/]: {CASES[name].TITLE}", highlight=False)
    began, machine = time.monotonic(), description()
    report: Report = CASES[name].run(session)
    report.machine = {**machine, "runs": session.runs, "seconds": round(time.monotonic() - began)}
    session.say(f"{name}: {report.machine['seconds']} s")
    return report


def _file(name: str) -> Path:
    return RESULTS / f"{name}.json"


def _keep(report: Report) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    _file(report.case).write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")


def _columns(case: str, contenders: Sequence[Contender]) -> Sequence[Contender]:
    """Whose figures a case has: those of the packages, unless it measures something else."""
    return getattr(CASES[case], "COLUMNS", contenders)


def _write_pages() -> None:
    from benchmarks import plots  # it needs matplotlib, which a quick run does not

    reports = {name: _kept(name) for name in CASES if _file(name).exists()}
    for only, file in PAGES.items():
        blocks = {}
        for name, report in reports.items():
            if (name if name in PAGES else None) == only:
                pictures = [f"![{name}](performance/{plot})" for plot in plots.draw(report, CONTENDERS, RESULTS)]
                table = tables.markdown_table(report, _columns(name, CONTENDERS))
                blocks[name] = "\n\n".join([table, *report.notes, tables.made_on(report), *pictures])
        _fill(file, blocks)
    if {figure.case for figure in summary.FIGURES} <= reports.keys():
        _fill(SUMMARY_PAGE, {summary.NAME: summary.summary(reports, CONTENDERS)})


def _fill(file: Path, blocks: Mapping[str, str]) -> None:
    file.write_text(page.fill(file.read_text(encoding="utf-8"), blocks), encoding="utf-8")


def _kept(name: str) -> Report:
    return Report.from_json(json.loads(_file(name).read_text(encoding="utf-8")))


def _give_back() -> None:
    """Give files written under sudo to the calling user."""
    if "SUDO_UID" in os.environ:
        owner = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
        for path in (*PAGES.values(), SUMMARY_PAGE, RESULTS, *RESULTS.iterdir()):
            os.chown(path, *owner)


if __name__ == "__main__":
    sys.exit(main())
