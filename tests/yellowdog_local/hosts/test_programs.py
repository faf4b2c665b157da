"""The programs of hosts run isolated, without an installed package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from yellowdog_local.hosts import programs

GUEST = Path(programs.__file__).with_name("guest")
PRINT_MODULES = (
    "import sys; sys.path[:0] = [{root!r}]; before = set(sys.modules)\n"
    "import yellowdog_local.hosts.guest.{program}\n"
    "print(*sorted(name for name in set(sys.modules) - before if name.startswith('yellowdog')))"
)


@pytest.mark.parametrize("arguments", [[], ["log"], ["no-such-program"]])
def test_command_line_is_refused_without_a_program(arguments: list[str]) -> None:
    command = [sys.executable, "-I", "-S", str(GUEST), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"usage: {GUEST} agent|init|process_init ARGUMENT ...\n")


@pytest.mark.parametrize("program", ["agent", "init", "process_init"])
def test_program_imports_only_its_own_package_and_the_standard_library(program: str) -> None:
    script = PRINT_MODULES.format(root=str(GUEST.parents[2]), program=program)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    parents = {"yellowdog_local", "yellowdog_local.hosts"}
    assert {name for name in done.stdout.split() if ".guest" not in name} == parents


def test_files_of_the_agent_are_all_that_it_imports() -> None:
    script = PRINT_MODULES.format(root=str(GUEST.parents[2]), program="agent")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    copied = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in programs.agent_files()}
    assert copied == {*done.stdout.split(), "yellowdog_local.hosts.guest.__main__"}
