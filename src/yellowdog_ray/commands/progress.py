"""Says what the user is waiting for, with elapsed time, on a terminal and in a plain log. Knows nothing of clusters."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

REPEAT_SECONDS = 10.0
"""In a plain log an unchanged line is repeated this often, so that silence never means a hang."""


class Progress:
    """One line that tells what is being waited for.

    On a terminal the line is rewritten in place while only the time changes; elsewhere each change is a line.
    """

    def __init__(self, out: TextIO | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._out = out if out is not None else sys.stdout
        self._monotonic = monotonic
        self._started = monotonic()
        self._text = ""
        self._said_at = 0.0
        self._live = self._out.isatty()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._monotonic() - self._started

    def say(self, text: str) -> None:
        """Tell the present state; call it as often as you like."""
        now = self._monotonic()
        if self._live:
            self._write_live(text)
        elif text != self._text or now - self._said_at >= REPEAT_SECONDS:
            self._out.write(f"{self._line(text)}\n")
            self._out.flush()
            self._said_at = now
        self._text = text

    def done(self, text: str) -> None:
        """Tell the end, on a line that stays."""
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
