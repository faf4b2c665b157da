"""The log of a host's programs: lines with a time on standard error. Standard library only."""

from __future__ import annotations

import sys
import time


def log(message: str) -> None:
    """Write a line to the log."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {message}", file=sys.stderr, flush=True)  # noqa: T201
