"""Runs YellowDog's own command line, unmodified, from its own environment, against one platform."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[2] / ".venv-yellowdog-cli"
HOW_TO_GET_IT = "YellowDog's own command line is not installed: `scripts/test -- tests/official_cli` installs it"
SECONDS = 60
# Nothing answers there: the command line may ask the package index for a newer release of itself, and must not get out.
_NO_WAY_OUT = "http://127.0.0.1:9"


def variables(home: Path, *programs: Path) -> dict[str, str]:
    """The whole environment of a command, without the settings of this user."""
    kept = {name: os.environ[name] for name in ("PYTHONDONTWRITEBYTECODE",) if name in os.environ}
    path = os.pathsep.join([*map(str, programs), str(HOME / "bin"), os.environ.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "HOME": str(home), "COLUMNS": "200", "HTTPS_PROXY": _NO_WAY_OUT}


def is_installed() -> bool:
    return (HOME / "bin" / "yd").exists()


def console_scripts() -> set[str]:
    """The installed commands: `yd` and all `yd-...`."""
    return {path.name for path in (HOME / "bin").iterdir() if path.name == "yd" or path.name.startswith("yd-")}


@dataclass(frozen=True)
class Answer:
    """The output of a command."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def item(self) -> Any:
        """The only entry of the list that most commands print with `--json`."""
        (only,) = self.json
        return only


class WarmPython:
    """A process of the command line's Python that runs commands (`warm_python`); as a context manager, it ends."""

    def __enter__(self) -> WarmPython:
        self._process = subprocess.Popen(
            [HOME / "bin" / "python", Path(__file__).with_name("warm_python.py")],
            env=variables(Path(os.devnull)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.communicate()

    def run(self, argv: list[str], directory: Path, environment: dict[str, str]) -> tuple[int, Answer]:
        """Run a console script to its end. Returns its exit code and its output."""
        files = {name: directory / f".{name}" for name in ("out", "err")}
        run = {"argv": argv, "directory": str(directory), "variables": environment, "seconds": SECONDS}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(run | {name: str(file) for name, file in files.items()}) + "\n")
        self._process.stdin.flush()
        exit_code = int(self._process.stdout.readline())
        answer = Answer(*(file.read_text(encoding="utf-8") for file in files.values()))
        for file in files.values():
            file.unlink()
        return exit_code, answer


class OfficialCli:
    """The command line in a directory with `.env` and `config.toml`."""

    def __init__(self, python: WarmPython, directory: Path, environment: str, configuration: str) -> None:
        self.directory = directory
        self._python = python
        (directory / ".env").write_text(environment)
        (directory / "config.toml").write_text(configuration)
        self.variables = variables(directory)

    def file(self, name: str, content: Any) -> str:
        (self.directory / name).write_text(json.dumps(content))
        return name

    def run(self, command: str, *arguments: str, exit_code: int = 0) -> Answer:
        """Run a command; it must end with the given exit code."""
        argv = [str(HOME / "bin" / command), *arguments, "--no-format"]
        code, answer = self._python.run(argv, self.directory, self.variables)
        assert code == exit_code, f"{command} ended with {code}:\n{answer.out}\n{answer.err}"
        return answer

    def act(self, command: str, *arguments: str) -> Any:
        """Run a command that changes one entity, without confirmation; its result."""
        return self.run(command, "--yes", "--json", *arguments).item
