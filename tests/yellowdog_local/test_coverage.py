"""The coverage page is up to date and has the essential calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from yellowdog_client import __version__

from yellowdog_local import coverage

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def test_coverage_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    if f"yellowdog-sdk {__version__}:" not in page:
        pytest.skip(f"docs/coverage.md was written for another release of the SDK than the installed {__version__}")
    assert page == coverage.render(), "run `python -m yellowdog_local.coverage > docs/coverage.md`"


def test_every_call_for_work_and_worker_pools_is_covered() -> None:
    calls = [call for call in coverage.sdk_calls() if call.service in ("Work", "Worker pools", "Namespaces")]
    assert len(calls) >= 37
    assert [call.name for call in calls if call.route is None] == []


def test_call_without_a_route_is_marked() -> None:
    routes = {call.name: call.route for call in coverage.sdk_calls()}
    assert routes["slice_regions"] is None
    assert routes["get_keyring"] == "GET /keyrings/{id}"
    assert routes["stream_worker_pool_updates"] == "GET /workerPools/{id:ydid}/updates"


def test_refused_parts_of_covered_calls_are_read_from_the_code() -> None:
    refusals = coverage.refusals()

    assert {"Certain attributes of a dynamic template", "Moving a task's data (inputs, outputs)"} <= {*refusals}
    assert [text for text in refusals if "…" in text] == [], "add its words to _COMPUTED_REFUSALS"


def test_requests_show_names_in_place_of_example_arguments() -> None:
    requests = {call.name: call.path for call in coverage.sdk_calls()}

    assert requests["transition_compute_requirement"] == "/compute/requirements/{id}/transition/{status}"
    assert requests["boost_allowance_by_id"] == "/allowances/{id}/boost/{hours}"
