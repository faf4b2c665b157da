"""The two packages that are measured, and a driver process that runs the provider of either."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yellowdog_ray.config.limits import SMALL_TICK_SECONDS

REPOSITORY = Path(__file__).resolve().parents[1]
PUBLISHED_VERSION = "2.0.0"
PATIENCE_SECONDS = 120.0
PUBLISHED_VENV = REPOSITORY / ".venv-published"

RAYS_TICK_SECONDS = 5
"""Ray's default of AUTOSCALER_UPDATE_INTERVAL_S (autoscaler/_private/constants.py of Ray 2.60)."""


@dataclass(frozen=True)
class Contender:
    """A package that provides `yellowdog_ray.raydog.autoscaler.RayDogNodeProvider`.

    Attributes:
        key: its name in results.
        label: its name in tables.
        python: the interpreter of the environment that it is installed in.
        tick_seconds: how long Ray's autoscaler rests between two looks.
        has_goals: whether the goals are for it.
    """

    key: str
    label: str
    python: Path
    tick_seconds: float = RAYS_TICK_SECONDS
    has_goals: bool = True


RAYDOG = Contender("raydog", "RayDog", Path(sys.executable), SMALL_TICK_SECONDS)
PUBLISHED = Contender("published", f"yellowdog-ray {PUBLISHED_VERSION}", PUBLISHED_VENV / "bin/python", has_goals=False)


class Failed(Exception):
    """The provider did not do what it was asked; the text is its own, in one line."""


class DriverProcess:
    """A driver under a contender's Python."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, name: str, **arguments: Any) -> Any:
        """Let it do one thing.

        Raises:
            Failed: the provider raised, or its process ended.
        """
        request, answers = self._process.stdin, self._process.stdout
        if request is None or answers is None:
            raise RuntimeError("a driver without pipes")
        try:
            request.write(json.dumps({"do": name, **arguments}) + "\n")
            request.flush()
            # One line answers one request, so nothing waits in a buffer.
            if not select.select([answers], [], [], PATIENCE_SECONDS)[0]:
                self._process.kill()
                raise Failed(f"`{name}` did not end within {PATIENCE_SECONDS:.0f} s")
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Failed(f"its process ended with exit code {self._process.wait()}")
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(" ".join(str(answer["failed"]).split()))
        return answer["ok"]


@contextmanager
def driver(contender: Contender, environment: Mapping[str, str], folder: Path, core: int) -> Iterator[DriverProcess]:
    """A driver process, which ends with the block.

    Args:
        contender: whose provider it runs.
        environment: what it finds in its environment, besides this machine's usual.
        folder: its home and working directory; what it prints goes to `driver.log` there.
        core: where it runs.
    """
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("YD_", "RAY", "AUTOSCALER_"))}
    own = {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(REPOSITORY), "RAY_USAGE_STATS_ENABLED": "0"}
    with driver_by([str(contender.python), "-m", "benchmarks.driver"], folder, {**usual, **own}) as process:
        process.do("find_itself", environment=dict(environment), core=core)
        yield process


@contextmanager
def driver_by(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> Iterator[DriverProcess]:
    """A driver process that some command starts; it ends with the block."""
    with (
        (folder / "driver.log").open("a") as log,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield DriverProcess(process)
        finally:
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
