"""Every command of `scripts/` prints its help without installing anything."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "chaos": "tests/simulation/random_runs/__main__.py",
    "guards": "tests/guards/__main__.py",
    "bench": "benchmarks/__main__.py",
}
"""Commands whose options a Python module parses, and that module."""


@pytest.fixture
def help_of(tmp_path):
    """The output of a command's `--help` in a checkout that has only `scripts`, which must not change."""

    def run(command):
        shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
        done = subprocess.run(
            [tmp_path / "scripts" / command, "--help"], capture_output=True, text=True, timeout=20, check=True
        )
        assert [path.name for path in tmp_path.iterdir()] == ["scripts"]
        return done.stdout

    return run


@pytest.mark.parametrize("command", [*COMMANDS, "docs", "lint", "release", "test"])
def test_help_installs_nothing(help_of, command):
    assert help_of(command).startswith(f"Usage: scripts/{command} ")


@pytest.mark.parametrize(("command", "module"), COMMANDS.items(), ids=COMMANDS)
def test_help_names_every_option_of_the_parser(help_of, command, module):
    options = re.findall(r'add(?:_argument)?\("(--[\w-]+)"', (ROOT / module).read_text())

    text = help_of(command)

    assert options
    assert [option for option in options if f"  {option} " not in text] == []


def test_help_names_every_benchmark(help_of):
    text = help_of("bench")
    names = re.findall(
        r'^NAME = "(\w+)"', "\n".join(p.read_text() for p in (ROOT / "benchmarks/cases").glob("*.py")), re.MULTILINE
    )

    assert len(names) > 5
    assert [name for name in names if f"\n  {name} " not in text] == []


def test_smoke_tests_exist():
    (paths,) = re.findall(r"SMOKE_TESTS=\((.*?)\)", (ROOT / "scripts/test").read_text(), re.DOTALL)

    assert paths.split()
    assert [path for path in paths.split() if not (ROOT / path).exists()] == []
