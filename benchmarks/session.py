"""What every case is given: how thoroughly to measure, whom, and where to say what goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from benchmarks.contenders import Contender
from benchmarks.machine import Cores

RUNS = 5


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

    def say(self, text: str) -> None:
        """Tell what goes on."""
        self.console.print(f"  {text}", style="dim", highlight=False, markup=False)
