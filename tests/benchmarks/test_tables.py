import pytest
from benchmarks.contenders import PUBLISHED, RAYDOG
from benchmarks.results import Cell, Report, Row
from benchmarks.tables import figure, goal, markdown_table, with_unit


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (2, "2"), (2.0, "2"), (2.345, "2.35"), (23.45, "23.4"), (1234.5, "1,234"), (0.004, "0.00")],
)
def test_a_figure_has_as_many_digits_as_it_is_worth(value, text):
    assert figure(value) == text


def test_the_spread_is_told_where_there_is_one():
    assert with_unit(Cell([1.5, 2.5, 3.5]), "s") == "2.50 s (1.50 to 3.50)"
    assert with_unit(Cell([2, 2, 2]), "calls") == "2 calls"


def test_in_place_of_a_figure_that_there_is_not_stands_why():
    assert with_unit(Cell(why="it needs root"), "s") == "it needs root"
    assert with_unit(None, "s") == "-"


def test_a_goal_says_in_which_direction():
    assert goal(Row("r", "s", most=3.0)) == "≤ 3 s"
    assert goal(Row("r", "per s", least=1_000)) == "≥ 1,000 per s"
    assert goal(Row("r")) == ""


def test_a_page_shows_the_packages_side_by_side_and_judges_the_first():
    report = Report("case")
    report.row("calls", most=2).add("raydog", 1)
    report.row("calls").add("published", 9)
    assert markdown_table(report, (RAYDOG, PUBLISHED)).splitlines() == [
        "| | RayDog | yellowdog-ray 2.0.0 | goal | met |",
        "|---|--:|--:|--:|---|",
        "| calls | 1 | 9 | ≤ 2 | yes |",
    ]
