"""Every command of `scripts/` prints its help without installing anything."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file())
PARSERS = {
    "chaos": "tests/simulation/random_runs/__main__.py",
    "guards": "tests/guards/__main__.py",
    "bench": "benchmarks/__main__.py",
    "demo": "scripts/lib/demo.py",
    "head-kills": "tests/e2e/head_kills.py",
    "mutate": "tests/mutation/__main__.py",
}
"""Commands whose options a Python module parses, and that module."""


@pytest.fixture
def checkout(tmp_path):
    """A checkout that has only commands."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    return tmp_path


@pytest.fixture
def help_of(checkout):
    """The output of a command's `--help`, which must install nothing into the checkout."""

    def run(command):
        before = set(checkout.rglob("*"))
        done = subprocess.run([checkout / command, "--help"], capture_output=True, text=True, timeout=20, check=True)
        assert set(checkout.rglob("*")) == before
        return done.stdout

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_help_installs_nothing(help_of, command):
    assert help_of(f"scripts/{command}").startswith(f"Usage: scripts/{command} ")


def test_help_of_continuous_integration_is_that_of_the_tests(help_of):
    assert help_of(".ci/run") == help_of("scripts/test")


@pytest.mark.parametrize(("command", "module"), PARSERS.items(), ids=PARSERS)
def test_help_names_every_option_of_the_parser(help_of, command, module):
    options = re.findall(r'add(?:_argument)?\("(--[\w-]+)"', (ROOT / module).read_text())

    text = help_of(f"scripts/{command}")

    assert options
    assert [option for option in options if f"  {option} " not in text] == []


def test_set_up_refuses_the_environment_of_another_checkout(checkout):
    other = checkout / "other"
    other.mkdir()
    (checkout / ".venv").symlink_to(other)
    code = f"source {checkout}/scripts/lib/setup.sh; stamp_for() {{ :; }}; setup_main_venv"

    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=20, check=False)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: .venv is a symbolic link: the set-up would change")
    assert list(other.iterdir()) == []


def test_help_names_every_benchmark(help_of):
    text = help_of("scripts/bench")
    names = re.findall(
        r'^NAME = "(\w+)"', "\n".join(p.read_text() for p in (ROOT / "benchmarks/cases").glob("*.py")), re.MULTILINE
    )

    assert len(names) > 5
    assert [name for name in names if f"\n  {name} " not in text] == []


def test_smoke_tests_exist():
    (paths,) = re.findall(r"SMOKE_TESTS=\((.*?)\)", (ROOT / "scripts/test").read_text(), re.DOTALL)

    assert paths.split()
    assert [path for path in paths.split() if not (ROOT / path).exists()] == []
