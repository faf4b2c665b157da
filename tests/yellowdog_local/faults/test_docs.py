"""Runs the examples of docs/faults.md unchanged."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from yellowdog_local import faults
from yellowdog_local.cli import main as cli

pytest_plugins = ["pytester"]
PAGE = (Path(__file__).parents[3] / "docs" / "faults.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^raydog local (.*)$", PAGE, flags=re.MULTILINE)


def test_pytest_example_of_the_page_passes(pytester: pytest.Pytester) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    pytester.makepyfile(code)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=code.count("def test_"))


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_page_are_accepted(line: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.app, [*shlex.split(line), "--dir", str(tmp_path)])
    # Without a platform each fails at the search for one, after its arguments were parsed.
    assert result.exit_code == 3, result.output


def test_page_has_commands() -> None:
    assert len(COMMANDS) > 10


def test_page_lists_every_kind_and_field() -> None:
    for kind, model in faults.rules.KINDS.items():
        assert f"| `{kind}` |" in PAGE
        for name in set(model.model_fields) - {"kind"}:
            assert f"`{name}`" in PAGE, name
