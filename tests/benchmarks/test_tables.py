import pytest
from benchmarks.contenders import PUBLISHED, RAYDOG
from benchmarks.results import Cell, Report, Row
from benchmarks.tables import figure, goal, markdown_table, with_unit


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (2, "2"), (2.0, "2"), (2.345, "2.35"), (23.45, "23.4"), (1234.5, "1,234"), (0.004, "0.00")],
)
def test_figure_has_three_significant_digits(value, text):
    assert figure(value) == text


def test_cell_shows_spread_if_runs_differ():
    assert with_unit(Cell([1.5, 2.5, 3.5]), "s") == "2.50 s (1.50 to 3.50)"
    assert with_unit(Cell([2, 2, 2]), "calls") == "2 calls"


def test_cell_shows_reason_of_missing_value():
    assert with_unit(Cell(why="it needs root"), "s") == "it needs root"
    assert with_unit(None, "s") == "-"


def test_goal_has_direction():
    assert goal(Row("r", "s", most=3.0)) == "≤ 3 s"
    assert goal(Row("r", "per s", least=1_000)) == "≥ 1,000 per s"
    assert goal(Row("r")) == ""


def test_markdown_table_has_column_per_package_and_verdict_of_first():
    report = Report("case")
    report.row("calls", most=2).add("raydog", 1)
    report.row("calls").add("published", 9)
    assert markdown_table(report, (RAYDOG, PUBLISHED)).splitlines() == [
        "| | RayDog | yellowdog-ray 2.0.0 | goal | met |",
        "|---|--:|--:|--:|---|",
        "| calls | 1 | 9 | ≤ 2 | yes |",
    ]
