"""Processes for measurements: a served platform, or a function in a fresh process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import local_platform

TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Server:
    """A platform served by another process."""

    host: str
    port: int
    key_id: str
    key_secret: str
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time so far (seconds)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child(target: Callable[..., None], *arguments: object) -> Iterator[Any]:
    """Run a function in a fresh process; yield what it sends, then end it."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        if not ours.poll(TIMEOUT_SECONDS):
            raise TimeoutError(f"{target.__name__} did not answer within {TIMEOUT_SECONDS:.0f} s")
        yield ours.recv()
    finally:
        ours.close()  # signals the process to end
        process.join(TIMEOUT_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(pipe: Connection, core: int) -> None:
    os.sched_setaffinity(0, {core})
    with local_platform(clock=SteppedClock()) as local:
        parts = urlsplit(local.url)
        pipe.send(Server(str(parts.hostname), int(parts.port or 0), local.key_id, local.key_secret, os.getpid()))
        try:
            pipe.recv()  # ends when the other side closes
        except EOFError:
            return


@contextlib.contextmanager
def served(core: int) -> Iterator[Server]:
    """A platform with simulated hosts, served by a process on this core."""
    yield from child(_serve, core)
