"""docs/official-cli.md: its example runs unchanged on real hosts, and its table agrees with the tests."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.official_cli.command_line import console_scripts, variables
from tests.programs import run_program
from tests.yellowdog_local.service.test_daemon import free_port
from yellowdog_local.hosts import leftovers
from yellowdog_local.service import daemon
from yellowdog_local.service.directory import PlatformDirectory

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "official-cli.md").read_text(encoding="utf-8")
TABLE = dict(re.findall(r"^\| `(yd[a-z0-9-]*)` \| (.*?) \|$", PAGE, flags=re.MULTILINE))


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def commands_that_tests_run() -> set[str]:
    """First arguments of `yd.run(...)` and `yd.act(...)` in the tests beside this one."""
    return {
        str(node.args[0].value)
        for path in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("run", "act")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def test_table_has_every_installed_command() -> None:
    assert set(TABLE) == console_scripts()


def test_commands_marked_as_tested_are_run_by_a_test() -> None:
    tested = {command for command, words in TABLE.items() if words.startswith("tested")}
    assert tested - {"yd"} == commands_that_tests_run() - {"yd-cloud-info"}


def test_other_commands_have_a_reason() -> None:
    assert {words.split(":")[0].split(" of ")[0] for words in TABLE.values()} <= {"tested", "not covered", "no call"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[PlatformDirectory]:
    made = PlatformDirectory(tmp_path / ".raydog" / "local")
    yield made
    daemon.stop(made, lambda _text: None)
    assert leftovers.find(made.path) == []


@pytest.mark.hosts
def test_example_of_the_page_runs_on_real_hosts(tmp_path: Path, place: PlatformDirectory) -> None:
    (configuration,), (work,) = blocks("toml"), blocks("json")
    (tmp_path / "config.toml").write_text(configuration)
    (tmp_path / "work.json").write_text(work)
    script = "\n".join(blocks("sh")).replace("raydog local start", f"raydog local start --port {free_port()}")
    environment = variables(tmp_path, Path(sys.executable).parent)
    done = run_program(["bash", "-euxo", "pipefail", "-c", script], seconds=150, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout
    assert "1 COMPLETED, 1 FAILED" in done.stdout
    assert '"processExitCode": 3' in done.stdout
    assert "\nhello from " in done.stdout
    assert re.search(r"Work Requirement 'endless' is CANCELLED\n.*\n +1 ABORTED", done.stdout), done.stdout
    assert not place.is_running()
    (output,) = (path for path in place.hosts.glob("*/tasks/*.txt") if path.read_text().startswith("hello"))
    assert output.read_text().split() == ["hello", "from", output.parents[1].name]
