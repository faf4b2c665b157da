"""Runs programs with a deadline for the whole run; their descendants end with them. Imports nothing of this package."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from typing import IO

TERMINATION_SECONDS = 2.0
"""Seconds from SIGTERM to SIGKILL: OpenSSH and rsync end within milliseconds if they react at all."""


def start(
    command: Sequence[str],
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, which `end` can end as a whole.

    Raises:
        FileNotFoundError: there is no such program.
    """
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)


def run(
    command: Sequence[str],
    seconds: float,
    stdin: bytes | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end. An exception, such as Ctrl-C, ends it with its descendants.

    Args:
        command: program and arguments.
        seconds: for the whole run, until the last descendant has closed the captured output.
        stdin: its input; None for the input of this process.
        stdout: as for `subprocess.run`.
        stderr: as for `subprocess.run`.

    Raises:
        subprocess.TimeoutExpired: it did not end in time.
        FileNotFoundError: there is no such program.
    """
    with start(command, None if stdin is None else subprocess.PIPE, stdout, stderr) as process:
        try:
            out, errors = process.communicate(stdin, timeout=seconds)
        except BaseException:
            end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program of `start` with its descendants: SIGTERM, and SIGKILL `TERMINATION_SECONDS` later."""
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERMINATION_SECONDS)
    _signal(process, signal.SIGKILL)  # also for descendants that outlive the program
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses it for a group of zombies
        os.killpg(process.pid, number)
