"""A pytest plugin for a run without a guard: is it our copy that is tested, and which tests have failed of themselves?

Loaded with `-p tests.guards.watch`, told by two variables what to look for and where to write.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

COPY = "RAYDOG_GUARDS_COPY"
"""The copy of the repository whose modules must be the ones that are imported."""

REPORT = "RAYDOG_GUARDS_REPORT"
"""Where the outcomes are written, as a JSON object: `passed`, `failed`, ... by the test's name without parameters."""

_outcomes: dict[str, str] = {}
_RANK = {"passed": 1, "skipped": 0, "timed out": 2, "broken": 3, "failed": 4}


def pytest_configure() -> None:
    copy = Path(os.environ[COPY])
    for package in ("yellowdog_ray", "yellowdog_local"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None or not Path(spec.origin).is_relative_to(copy / "src"):
            raise pytest.UsageError(f"{package} would be imported from {spec and spec.origin}, not from {copy}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if _outcomes.get(_name(item.nodeid)) == "failed":
        pytest.skip("this test has noticed already")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    outcome = _outcome(report)
    name = _name(report.nodeid)
    if _RANK[outcome] >= _RANK.get(_outcomes.get(name, ""), -1):
        _outcomes[name] = outcome


def _outcome(report: pytest.TestReport) -> str:
    """A test has noticed if what it says is wrong; not if its set-up fails, or if it never ends."""
    if report.outcome != "failed":
        return report.outcome
    if "from pytest-timeout" in str(report.longrepr):
        return "timed out"
    return "failed" if report.when == "call" else "broken"


def pytest_sessionfinish() -> None:
    Path(os.environ[REPORT]).write_text(json.dumps(_outcomes))


def _name(node_id: str) -> str:
    return node_id.split("[")[0]
