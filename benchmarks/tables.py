"""Formats reports as tables, for a terminal and for a page. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.contenders import Contender
from benchmarks.results import Cell, Report, Row

_NONE = "-"


def figure(value: float | None) -> str:
    """A number with three significant digits if it has a fraction."""
    if value is None:
        return _NONE
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_unit(cell: Cell | None, unit: str) -> str:
    """A cell's median with its spread, or the reason for a missing value."""
    if cell is None:
        return _NONE
    if cell.median is None or cell.spread is None:
        return cell.why or _NONE
    least, most = cell.spread
    text = f"{figure(cell.median)} {unit}".rstrip()
    return text if figure(least) == figure(most) else f"{text} ({figure(least)} to {figure(most)})"


def goal(row: Row) -> str:
    """The goal of the first contender's figure."""
    if row.most is not None:
        return f"≤ {figure(row.most)} {row.unit}".rstrip()
    return "" if row.least is None else f"≥ {figure(row.least)} {row.unit}".rstrip()


def verdict(row: Row, contender: Contender) -> str:
    """Whether the goal is met; empty if there is no goal."""
    return {True: "yes", False: "no", None: ""}[row.met(contender.key) if contender.has_goals else None]


def terminal_table(report: Report, title: str, contenders: Sequence[Contender]) -> Table:
    """A report for the terminal."""
    table = Table(title=title, title_justify="left", caption="\n".join(report.notes), caption_justify="left")
    table.add_column("figure")
    for contender in contenders:
        table.add_column(contender.label, justify="right")
    table.add_column("goal", justify="right")
    table.add_column("met")
    for row in report.rows:
        cells = [with_unit(row.cells.get(contender.key), row.unit) for contender in contenders]
        met = verdict(row, contenders[0])
        table.add_row(row.name, *cells, goal(row), f"[bold red]{met}[/]" if met == "no" else met)
    return table


def markdown_table(report: Report, contenders: Sequence[Contender]) -> str:
    """A report for a page."""
    labels = [contender.label for contender in contenders]
    lines = [
        "| | " + " | ".join(labels) + " | goal | met |",
        "|---|" + "--:|" * len(labels) + "--:|---|",
    ]
    for row in report.rows:
        cells = [with_unit(row.cells.get(contender.key), row.unit) for contender in contenders]
        lines.append("| " + " | ".join([row.name, *cells, goal(row), verdict(row, contenders[0])]) + " |")
    return "\n".join(lines)


def made_on(report: Report) -> str:
    """Date, machine and versions of a report, in one line."""
    of = report.machine
    cores = f"{of['cores']} cores of {of['processor']}, {of['system']}, Python {of['python']}, Ray {of['ray']}"
    return f"*{of['date']}: {cores}; load before: {of['load_before']}; {of['seconds']} s.*"
