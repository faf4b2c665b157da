"""Pytest plugin of a guard run: selects tests as docs/reliability.md names them, and writes their outcomes."""

import json
import os
from pathlib import Path

import pytest

import yellowdog_local
import yellowdog_ray

_RUN = json.loads(os.environ["RAYDOG_GUARDS"])
_outcomes: dict[str, str] = {}


def pytest_configure() -> None:
    assert all(Path(each.__file__ or "").is_relative_to(_RUN["copy"]) for each in (yellowdog_ray, yellowdog_local))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if _name(item.nodeid) in _RUN["tests"]]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _outcomes.get(_name(item.nodeid), "passed") != "passed":
        pytest.skip("did not pass with other parameters")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test fails by its own assertion: not by its set-up, and not by a timeout."""
    if _outcomes.get(_name(report.nodeid), "passed") == "passed":
        unclear = report.failed and (report.when != "call" or "from pytest-timeout" in str(report.longrepr))
        _outcomes[_name(report.nodeid)] = "unclear" if unclear else report.outcome


def pytest_sessionfinish() -> None:
    Path(_RUN["report"]).write_text(json.dumps(_outcomes))


def _name(node_id: str) -> str:
    file, *_, function = node_id.split("[")[0].split("::")
    return f"{file.removeprefix('tests/')}::{function}"
