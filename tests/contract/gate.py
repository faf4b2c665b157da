"""Fails a run of the whole contract suite without a successful call of each covered method.

The tests are spread over processes: each sends the calls it has recorded to the first one at its end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract import watched_sdk

HERE = Path(__file__).parent


class ContractGate:
    """The plugin, registered in every process of a test run."""

    def __init__(self) -> None:
        self._called: set[str] = set()
        self._whole = False
        self.missing: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """The suite is whole if all its files run; options such as `-k` are checked below."""
        chosen = {item.path for item in session.items if item.path.parent == HERE}
        self._whole = chosen == set(HERE.glob("test_*.py")) and self._whole_until_now(session)

    def _whole_until_now(self, session: pytest.Session) -> bool:
        return not self._deselected and not any("::" in argument for argument in session.config.args)

    _deselected = False

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self._deselected |= any(item.path.parent == HERE for item in items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})
        self._called.update(output.get("contract_called", []))
        self._whole |= bool(output.get("contract_whole"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._called |= watched_sdk.called
        if hasattr(session.config, "workeroutput"):
            output = session.config.workeroutput
            output["contract_called"], output["contract_whole"] = sorted(self._called), self._whole
        elif self._whole and exitstatus == pytest.ExitCode.OK:
            self.missing = sorted(watched_sdk.covered() - self._called)
            if self.missing:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.missing:
            terminalreporter.section(
                "calls that docs/coverage.md says are covered, and no contract test makes", red=True
            )
            terminalreporter.line("\n".join(self.missing))
