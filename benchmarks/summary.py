"""The ten figures that open the performance page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.contenders import Contender
from benchmarks.results import Report
from benchmarks.tables import with_unit

NAME = "summary"
"""Name of the summary's marker on the page."""


@dataclass(frozen=True)
class Figure:
    """One row of the summary.

    Attributes:
        label: what was measured, for a reader of this row alone.
        case: the case whose report has the row.
        row: the row's name in that report.
        limit: what limits the figure.
    """

    label: str
    case: str
    row: str
    limit: str


FIGURES = (
    Figure(
        "`ray up`, until Ray answers on the head",
        "commands",
        "ray up, until Ray answers on the head",
        "`ray start` on the head",
    ),
    Figure(
        "first task on a new worker, from demand to start",
        "commands",
        "first task on a new worker, from demand to its start",
        "boot and `ray start`",
    ),
    Figure(
        "`ray down` of a head with 2 workers",
        "commands",
        "ray down of a head with 2 workers",
        "`ray stop` on all nodes",
    ),
    Figure(
        "tick with 1,000 nodes, no change: processor time",
        "listing",
        "1,000 nodes, nothing changed: processor time",
        "two calls of the SDK",
    ),
    Figure(
        "tick with 1,000 nodes, one node ended",
        "listing",
        "1,000 nodes, one node ended: time with the platform's answers",
        "JSON to SDK objects",
    ),
    Figure(
        "launch of 10 nodes, autoscaler v2: ticks",
        "growth",
        "v2, 10 nodes: ticks",
        "one tick is the minimum",
    ),
    Figure(
        "launch of 1,000 nodes, autoscaler v2",
        "growth",
        "v2, 1,000 nodes: until all are accepted",
        "Ray's own planning",
    ),
    Figure(
        "launch of 10,000 nodes, autoscaler v2",
        "growth",
        "v2, 10,000 nodes: until all are accepted",
        "Ray's own planning",
    ),
    Figure(
        "termination of 100 nodes, 50 ms per platform call",
        "shrink",
        "100 nodes at 50 ms per call: until the platform has accepted all aborts",
        "one call per node, 16 at a time",
    ),
    Figure(
        "platform calls per node, from launch to termination",
        "life",
        "per node, from launch to termination",
        "one abort call per node",
    ),
)


def summary(reports: Mapping[str, Report], contenders: Sequence[Contender]) -> str:
    """The summary as a Markdown table.

    Raises:
        KeyError: no report of a case, or a report without the row that a figure names.
    """
    lines = [
        "| figure | " + " | ".join(contender.label for contender in contenders) + " | limited by |",
        "|---|" + "--:|" * len(contenders) + "---|",
    ]
    for figure in FIGURES:
        row = {row.name: row for row in reports[figure.case].rows}[figure.row]
        cells = [with_unit(row.cells.get(contender.key), row.unit) for contender in contenders]
        lines.append("| " + " | ".join([figure.label, *cells, figure.limit]) + " |")
    return "\n".join(lines)
