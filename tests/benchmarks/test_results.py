import json

import pytest
from benchmarks.results import Cell, Report, Row


def test_cell_has_median_and_spread():
    cell = Cell([3.0, 1.0, 2.0, 10.0, 2.5])
    assert cell.median == 2.5
    assert cell.spread == (1.0, 10.0)


def test_cell_has_no_median_without_runs():
    assert (Cell().median, Cell().spread) == (None, None)


@pytest.mark.parametrize(("row", "met"), [(Row("r", most=2), True), (Row("r", most=1.9), False), (Row("r"), None)])
def test_row_compares_median_with_maximum(row, met):
    row.add("raydog", 1, 2, 3)
    assert row.met("raydog") is met


@pytest.mark.parametrize(("least", "met"), [(2, True), (2.1, False)])
def test_row_compares_median_with_minimum(least, met):
    row = Row("r", least=least)
    row.add("raydog", 1, 2, 3)
    assert row.met("raydog") is met


def test_row_has_no_verdict_without_value():
    row = Row("r", most=1)
    row.cannot("published", "it needs a head")
    assert row.met("published") is None
    assert row.met("raydog") is None


def test_report_creates_row_once():
    report = Report("case")
    report.row("calls", most=2).add("raydog", 1)
    report.row("calls").add("raydog", 3)
    (row,) = report.rows
    assert row.cells["raydog"].values == [1, 3]
    assert row.most == 2


def test_report_survives_json_round_trip():
    report = Report("case", notes=["a note"], series={"raydog": [1, 2]}, machine={"cores": 2})
    report.row("calls", "calls", 2).add("raydog", 1, 2)
    report.row("calls").cannot("published", "why")
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report
