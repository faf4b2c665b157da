"""Runs a program in a pseudo-terminal, as a person does, and measures its process."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Failed

SHAPE = {"COLUMNS": "200", "TERM": "xterm-256color"}
_TIMEOUT_SECONDS = 60.0
_BYTES = 65_536


@dataclass(frozen=True)
class Run:
    """A program that has ended.

    Attributes:
        seconds: from its start to its end.
        cpu: processor time of its process (seconds).
        output: what it has printed.
    """

    seconds: float
    cpu: float
    output: str


def run(command: Sequence[str], environment: Mapping[str, str], directory: Path, core: int) -> Run:
    """Run a program to its end.

    Args:
        command: the program and its arguments.
        environment: its environment, without that of the terminal.
        directory: its working directory.
        core: the core of its process.

    Raises:
        Failed: the exit code is not 0, or the program timed out.
    """
    ours, theirs = os.openpty()
    began = time.perf_counter()
    with _on(core):
        started = subprocess.Popen(
            command,
            cwd=directory,
            env={**environment, **SHAPE},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
    with started as process:
        os.close(theirs)
        timeout = threading.Timer(_TIMEOUT_SECONDS, process.kill)
        timeout.start()
        output = _read(ours)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        timeout.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    os.close(ours)
    if process.returncode != 0:
        raise Failed(f"`{' '.join(command)}` ended with {process.returncode} after {seconds:.0f} s: {output[-300:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, output)


@contextmanager
def _on(core: int) -> Iterator[None]:
    """Start processes on this core."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def _read(terminal: int) -> str:
    """All that is printed until the last process has closed the terminal, which Linux reports as an error."""
    parts = []
    try:
        while part := os.read(terminal, _BYTES):
            parts.append(part)
    except OSError:
        pass
    return b"".join(parts).decode()
