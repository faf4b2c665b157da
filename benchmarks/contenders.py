"""The two measured packages, and a driver process for the provider of either."""

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
TIMEOUT_SECONDS = 120.0
PUBLISHED_VENV = REPOSITORY / ".venv-published"

RAYS_TICK_SECONDS = 5
"""Ray's default of AUTOSCALER_UPDATE_INTERVAL_S (autoscaler/_private/constants.py of Ray 2.60)."""


@dataclass(frozen=True)
class Contender:
    """A package that provides `yellowdog_ray.raydog.autoscaler.RayDogNodeProvider`.

    Attributes:
        key: its name in results.
        label: its name in tables.
        python: the interpreter of its environment.
        tick_seconds: pause of Ray's autoscaler between two ticks.
        has_goals: whether the goals apply to it.
    """

    key: str
    label: str
    python: Path
    tick_seconds: float = RAYS_TICK_SECONDS
    has_goals: bool = True


RAYDOG = Contender("raydog", "RayDog", Path(sys.executable), SMALL_TICK_SECONDS)
PUBLISHED = Contender("published", f"yellowdog-ray {PUBLISHED_VERSION}", PUBLISHED_VENV / "bin/python", has_goals=False)


class Failed(Exception):
    """A request to the provider failed; the text is the provider's own, in one line."""


class DriverProcess:
    """A driver under a contender's Python."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, name: str, **arguments: Any) -> Any:
        """Send one request.

        Raises:
            Failed: the provider raised, or its process ended.
        """
        request, answers = self._process.stdin, self._process.stdout
        if request is None or answers is None:
            raise RuntimeError("a driver without pipes")
        try:
            request.write(json.dumps({"do": name, **arguments}) + "\n")
            request.flush()
            # Each request has one line of answer, so the buffer is empty here.
            if not select.select([answers], [], [], TIMEOUT_SECONDS)[0]:
                self._process.kill()
                raise Failed(f"`{name}` did not end within {TIMEOUT_SECONDS:.0f} s")
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
def driver(contender: Contender, environment: Mapping[str, str], directory: Path, core: int) -> Iterator[DriverProcess]:
    """A driver process that ends with the block.

    Args:
        contender: the package of the provider.
        environment: environment in addition to this machine's.
        directory: its home and working directory, with its output in `driver.log`.
        core: the core of the process.
    """
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("YD_", "RAY", "AUTOSCALER_"))}
    own = {
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "PYTHONPATH": str(REPOSITORY),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with driver_by([str(contender.python), "-m", "benchmarks.driver"], directory, {**usual, **own}) as process:
        process.do("prepare", environment=dict(environment), core=core)
        yield process


@contextmanager
def driver_by(
    command: list[str], directory: Path, environment: dict[str, str] | None = None
) -> Iterator[DriverProcess]:
    """A driver process started by a command; it ends with the block."""
    with (
        (directory / "driver.log").open("a") as log,
        subprocess.Popen(
            command,
            cwd=directory,
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
