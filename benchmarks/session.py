"""The context of every case: number of runs, contenders, cores, console."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from benchmarks.contenders import RAYDOG, Contender, Failed
from benchmarks.machine import Cores
from benchmarks.results import Report
from yellowdog_local.hosts.prerequisites import MissingRequirementError

RUNS = 5
FEW_RUNS = 2


@dataclass(frozen=True)
class Session:
    """One call of `scripts/bench`.

    Attributes:
        quick: one run of each case, without large sizes.
        contenders: the measured packages.
        cores: the cores of platform and provider.
        console: receives progress messages.
    """

    quick: bool
    contenders: Sequence[Contender]
    cores: Cores
    console: Console

    @property
    def runs(self) -> int:
        """Runs per figure."""
        return 1 if self.quick else RUNS

    def runs_of(self, contender: Contender, most: int = RUNS) -> int:
        """Runs per figure of a contender; fewer if one run takes a minute."""
        return min(self.runs, most if contender is RAYDOG else FEW_RUNS)

    def say(self, text: str) -> None:
        """Print a progress message."""
        self.console.print(f"  {text}", style="dim", highlight=False, markup=False)

    @contextmanager
    def attempt(self, report: Report, contender: Contender, what: str) -> Iterator[None]:
        """Record a failed measurement in the table, so that the other cases continue."""
        try:
            yield
        except (Failed, MissingRequirementError, TimeoutError, subprocess.SubprocessError) as error:
            report.row(what).cannot(contender.key, f"cannot: {error}")
            self.say(f"{contender.label}: {what}: {error}")
