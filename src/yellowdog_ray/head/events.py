"""Restarts of the head's processes as events: a file with one JSON object a line, and a line of text for each."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from yellowdog_ray.head.restarts import WINDOW_SECONDS


@dataclass(frozen=True)
class Restart:
    """A restart.

    Attributes:
        time: seconds since the epoch.
        kind: the kind of process.
        seconds: seconds without the process.
        reason: why it died.
        count: its deaths in `WINDOW_SECONDS`.
    """

    time: float
    kind: str
    seconds: float
    reason: str
    count: int

    @property
    def line(self) -> str:
        """The restart in words."""
        times = f"{ordinal(self.count)} time in {WINDOW_SECONDS / 60:.0f} min"
        small = "; the head is too small: use a larger machine type" if "memory" in self.reason else ""
        return f"{self.kind} restarted after {self.seconds:.1f} s ({self.reason}); {times}{small}"


MAX_BYTES = 1_000_000
"""A larger file is emptied after it has been read: some 8,000 restarts."""


class Events:
    """The file, written by the supervisor and by the keepers of agents, and read by supervisor and monitor.

    Args:
        file: the file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0

    def append(self, restart: Restart) -> None:
        """Add an event, in one write; a full disk costs the event, not the supervisor."""
        with suppress(OSError), self._file.open("ab", buffering=0) as file:
            file.write(json.dumps(asdict(restart)).encode() + b"\n")

    def new(self) -> list[Restart]:
        """The events since the last call. The supervisor calls this, and keeps the file small by it."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._read)
                text = file.read()
            complete = text[: text.rfind(b"\n") + 1]
            self._read += len(complete)
            if self._read > MAX_BYTES:
                os.truncate(self._file, 0)
                self._read = 0
        except OSError:
            return []
        return [Restart(**json.loads(line)) for line in complete.splitlines()]


def ordinal(number: int) -> str:
    """A number as 1st, 2nd, 3rd, 4th."""
    last = 0 if 10 < number % 100 < 20 else number % 10
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"
