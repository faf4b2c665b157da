"""Progress lines with elapsed time, for a terminal and for a plain log. Must not import other modules of RayDog."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

REPEAT_SECONDS = 10.0
"""Seconds after which a plain log repeats an unchanged line, so that silence never means a hang."""


class Progress:
    """One line that shows what a command waits for.

    A terminal rewrites the line in place while only the time changes. A plain log gets a line for each change.
    """

    def __init__(self, out: TextIO | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._out = out if out is not None else sys.stdout
        self._monotonic = monotonic
        self._started = monotonic()
        self._text = ""
        self._printed_at = 0.0
        self._live = self._out.isatty()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._monotonic() - self._started

    def update(self, text: str) -> None:
        """Show the current state. It may be called at every poll."""
        now = self._monotonic()
        if self._live:
            self._write_live(text)
        elif text != self._text or now - self._printed_at >= REPEAT_SECONDS:
            self._out.write(f"{self._line(text)}\n")
            self._out.flush()
            self._printed_at = now
        self._text = text

    def report(self, text: str) -> None:
        """Print a line that stays."""
        if self._live:
            self._write_live(text)
            self._out.write("\n")
        else:
            self._out.write(f"{self._line(text)}\n")
        self._out.flush()
        self._text = ""

    def _write_live(self, text: str) -> None:
        if self._text and text != self._text:
            self._out.write("\n")
        self._out.write(f"\r\x1b[K{self._line(text)}")
        self._out.flush()

    def _line(self, text: str) -> str:
        return f"  [{self.elapsed:5.1f} s] {text}"
