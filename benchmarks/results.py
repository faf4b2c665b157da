"""Results of a case as data: figures per contender, goals, and points for plots. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Cell:
    """One figure of one contender: a value per run, or the reason for a missing value."""

    values: list[float] = field(default_factory=list)
    why: str = ""

    @property
    def median(self) -> float | None:
        """Median of all runs; None without runs."""
        return statistics.median(self.values) if self.values else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """Minimum and maximum of all runs."""
        return (min(self.values), max(self.values)) if self.values else None


@dataclass
class Row:
    """One line of a table.

    Attributes:
        name: the measured quantity.
        unit: unit of the values; an empty string for counts.
        most: the goal as a maximum, if there is one.
        least: the goal as a minimum, if higher is better.
        cells: figures by the contender's key.
    """

    name: str
    unit: str = ""
    most: float | None = None
    least: float | None = None
    cells: dict[str, Cell] = field(default_factory=dict)

    def add(self, contender: str, *values: float) -> None:
        """Add the values of one run or several."""
        self.cells.setdefault(contender, Cell()).values.extend(values)

    def cannot(self, contender: str, why: str) -> None:
        """Record why a contender has no value."""
        self.cells.setdefault(contender, Cell()).why = why

    def met(self, contender: str) -> bool | None:
        """Whether a contender's median meets the goal; None without goal or value."""
        cell = self.cells.get(contender)
        if cell is None or cell.median is None:
            return None
        if self.most is not None:
            return cell.median <= self.most
        return None if self.least is None else cell.median >= self.least


@dataclass
class Report:
    """All figures of one case.

    Attributes:
        case: the case's name.
        rows: the table.
        notes: explanations below the table, one sentence each.
        series: points for the plots.
        machine: the machine of the run.
    """

    case: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    series: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def row(self, name: str, unit: str = "", most: float | None = None, *, least: float | None = None) -> Row:
        """The row of that name, created on first use."""
        for row in self.rows:
            if row.name == name:
                return row
        self.rows.append(Row(name, unit, most, least))
        return self.rows[-1]

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """A report from JSON data."""
        rows = [
            Row(**{**row, "cells": {key: Cell(**cell) for key, cell in row["cells"].items()}}) for row in data["rows"]
        ]
        return cls(data["case"], rows, list(data["notes"]), dict(data["series"]), dict(data["machine"]))
