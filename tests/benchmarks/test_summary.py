import json

import pytest
from benchmarks.__main__ import RESULTS, SUMMARY_PAGE
from benchmarks.contenders import PUBLISHED, RAYDOG
from benchmarks.page import fill
from benchmarks.results import Report
from benchmarks.summary import FIGURES, NAME, summary


def stored() -> dict[str, Report]:
    return {
        case: Report.from_json(json.loads((RESULTS / f"{case}.json").read_text()))
        for case in {figure.case for figure in FIGURES}
    }


def test_summary_has_ten_rows_with_figures_of_both_packages():
    header, _, *rows = summary(stored(), (RAYDOG, PUBLISHED)).splitlines()

    assert header == "| figure | RayDog | yellowdog-ray 2.0.0 | limited by |"
    assert len(rows) == 10
    assert [row for row in rows if row.split("|")[2].strip() in ("", "-")] == []


def test_summary_names_a_missing_row():
    reports = stored()
    reports["life"].rows.clear()

    with pytest.raises(KeyError, match="per node, from launch to termination"):
        summary(reports, (RAYDOG, PUBLISHED))


def test_page_shows_the_stored_results():
    page = SUMMARY_PAGE.read_text()

    assert fill(page, {NAME: summary(stored(), (RAYDOG, PUBLISHED))}) == page
