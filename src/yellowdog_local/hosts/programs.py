"""Commands that run the programs of `hosts/guest`, and the files to copy where the package is not. Starts nothing."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_GUEST = Path("yellowdog_local", "hosts", "guest")
# Packages on the way to the programs, and the programs' modules that run on a host of their own.
_COPIED = (
    "yellowdog_local/__init__.py",
    "yellowdog_local/hosts/__init__.py",
    *(f"{_GUEST}/{name}.py" for name in ("__init__", "__main__", "agent", "connection", "executions", "log")),
)


def command(program: str, *arguments: str, python: str = sys.executable, root: Path = _ROOT) -> list[str]:
    """The command line of a program.

    Args:
        program: `agent`, `init` or `process_init`.
        arguments: its arguments.
        python: the interpreter; it needs no package.
        root: the directory that holds the package, or a copy of its files.
    """
    return [python, "-I", "-S", str(root / _GUEST), program, *arguments]


def agent_files() -> dict[str, str]:
    """The text of each file that the agent needs on a host, by its path below the root of the copy."""
    return {name: (_ROOT / name).read_text(encoding="utf-8") for name in _COPIED}
