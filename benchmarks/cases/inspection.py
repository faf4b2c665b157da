"""Case 12: `raydog list`, `status` and `why` for 1,000 workers, with 50 ms of additional latency per call."""

from __future__ import annotations

import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import RAYDOG
from benchmarks.lab import NAMESPACE, Address, Lab
from benchmarks.results import Report
from benchmarks.session import Session
from benchmarks.stage import CLUSTER, Stage, stage
from benchmarks.terminal import run as run_in_terminal

NAME = "inspection"
TITLE = "`raydog list`, `raydog status`, `raydog why`"
COLUMNS = (RAYDOG,)

PROGRAM = Path(sys.executable).with_name("raydog")
TYPES = ("cpu", "gpu", "large", "small")
NODES = 1_000
"""Workers, of all types together."""

DELAY = 0.05
MOST_SECONDS = 2.0
PUBLISH_SECONDS = 60.0
"""The head's provider publishes its state within this time."""

PER_PAGE = 1_000
MORE_PAGES = math.ceil((NODES + 1) / PER_PAGE) - 1
POOLS = len(TYPES) + 1
"""The workers' pools, and the head's."""

OF_LIST = 4 + 1
"""Calls: four, and one for the work requirement of the one cluster (docs/commands.md)."""

OF_CLUSTER = 5 + POOLS + MORE_PAGES
"""Calls of `status` and of `why` with a namespace: five, one for each pool, and each further page of tasks."""

OF_SEARCH = 2
"""More calls without a namespace."""

_QUIET_SECONDS = 1.0
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Inspection:
    """One command.

    Attributes:
        arguments: the arguments of `raydog`.
        most_calls: the number of platform calls that docs/commands.md states.
        workers: number of workers that an output shows.
    """

    arguments: tuple[str, ...]
    most_calls: int
    workers: Callable[[str], int]

    @property
    def name(self) -> str:
        """The command as a user types it."""
        return f"`raydog {' '.join(self.arguments)}`"


def counted(output: str) -> int:
    """The workers in the sums of `raydog list`."""
    return sum(map(int, re.findall(rf"\b(?:{'|'.join(TYPES)}): (\d+) running\b", output)))


def listed(output: str) -> int:
    """The workers in the table of `raydog status`, whose names end with 12 hexadecimal digits."""
    return len(set(re.findall(rf"\b(?:{'|'.join(TYPES)})-[0-9a-f]{{12}}\b", output)))


def named(output: str) -> int:
    """The workers in the first line of `raydog why`."""
    return sum(map(int, re.findall(r"\b(\d+) worker\(s\)", output)))


WITHIN = ("--namespace", NAMESPACE)
INSPECTIONS = (
    Inspection(("list",), OF_LIST, counted),
    Inspection(("status", CLUSTER, *WITHIN), OF_CLUSTER, listed),
    Inspection(("status", CLUSTER), OF_CLUSTER + OF_SEARCH, listed),
    Inspection(("why", CLUSTER, *WITHIN), OF_CLUSTER, named),
    Inspection(("why", CLUSTER), OF_CLUSTER + OF_SEARCH, named),
)


def run(session: Session) -> Report:
    """Grow one cluster, and run each command in a process of its own."""
    report = Report(NAME)
    with (
        session.attempt(report, RAYDOG, "growth of the cluster"),
        stage(RAYDOG, session.cores, BENCH_SKIPPING_CLOCKS="1") as on,
    ):
        _grow(on)
        on.lab.delay(DELAY)
        for inspection in INSPECTIONS:
            session.say(inspection.name)
            with session.attempt(report, RAYDOG, inspection.name):
                _measure(session, report, on.lab, inspection)
    report.note(
        f"{NODES:,} workers of {len(TYPES)} types and a head, {DELAY * 1e3:.0f} ms per call. Each command runs as the "
        "installed program in a terminal; one run of each before the measurement is not counted."
    )
    report.note(
        f"The goal of the calls is the number in docs/commands.md: `status` and `why` make one call for each of "
        f"{POOLS} pools, and {MORE_PAGES} for the tasks after the first {PER_PAGE:,}. The project's first goal was 5 "
        "calls; only `list` meets it."
    )
    return report


def _grow(on: Stage) -> None:
    """Launch the workers, and wait until the head has published its state: it makes no call after that."""
    for node_type in TYPES:
        on.provider.do("grow", **{**on.worker, "node_type": node_type}, count=NODES // len(TYPES))
    on.boot()
    on.provider.do("skip_time", seconds=PUBLISH_SECONDS)
    on.provider.do("list")
    _wait_until_quiet(on.lab)


def _wait_until_quiet(platform: Lab) -> None:
    """Wait until the platform has received no call for a second."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    before = -1
    while (calls := platform.mark()) != before:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the head still calls the platform after {_TIMEOUT_SECONDS:.0f} s")
        before = calls
        time.sleep(_QUIET_SECONDS)


def _measure(session: Session, report: Report, platform: Lab, inspection: Inspection) -> None:
    name, key = inspection.name, RAYDOG.key
    with tempfile.TemporaryDirectory(prefix="raydog-bench-") as place:
        directory = Path(place)
        command, environment = [str(PROGRAM), *inspection.arguments], _environment(platform.address, directory)
        run_in_terminal(command, environment, directory, session.cores.provider)  # Python compiles its modules once
        for _ in range(session.runs):
            mark = platform.mark()
            done = run_in_terminal(command, environment, directory, session.cores.provider)
            report.row(f"{name}: time", "s", MOST_SECONDS).add(key, done.seconds)
            report.row(f"{name}: processor time", "s").add(key, done.cpu)
            report.row(f"{name}: platform calls", "", inspection.most_calls).add(key, platform.mark() - mark)
            report.row(f"{name}: workers shown", least=NODES).add(key, inspection.workers(done.output))


def _environment(address: Address, directory: Path) -> dict[str, str]:
    """A user's environment, with this platform's key."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("YD_", "RAY"))}
    return {
        **usual,
        "HOME": str(directory),
        "YD_API_URL": address.url,
        "YD_API_KEY_ID": address.key_id,
        "YD_API_KEY_SECRET": address.key_secret,
    }
