"""What every case is given: how thoroughly to measure, whom, and where to say what goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from benchmarks.contenders import RAYDOG, Contender, Failed
from benchmarks.machine import Cores
from benchmarks.results import Report
from yellowdog_local.hosts.requirements import MissingRequirementError

RUNS = 5
FEW_RUNS = 2


@dataclass(frozen=True)
class Session:
    """One call of `scripts/bench`.

    Attributes:
        quick: one run of each, and no sizes that take long.
        contenders: who is measured.
        cores: who runs where.
        console: where progress is told.
    """

    quick: bool
    contenders: Sequence[Contender]
    cores: Cores
    console: Console

    @property
    def runs(self) -> int:
        """How often each figure is measured."""
        return 1 if self.quick else RUNS

    def runs_of(self, contender: Contender, most: int = RUNS) -> int:
        """How often a figure is measured: less often where one run takes a minute."""
        return min(self.runs, most if contender is RAYDOG else FEW_RUNS)

    def say(self, text: str) -> None:
        """Tell what goes on."""
        self.console.print(f"  {text}", style="dim", highlight=False, markup=False)

    @contextmanager
    def attempt(self, report: Report, contender: Contender, what: str) -> Iterator[None]:
        """Let a table say why a contender could not be measured, and the other cases go on."""
        try:
            yield
        except (Failed, MissingRequirementError, TimeoutError, subprocess.SubprocessError) as error:
            report.row(what).cannot(contender.key, f"cannot: {error}")
            self.say(f"{contender.label}: {what}: {error}")
