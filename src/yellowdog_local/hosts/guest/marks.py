"""Marks of processes: they identify the processes of a process host. Standard library only.

The mark is the limit RLIMIT_RTTIME. Every child inherits it, whatever its environment, name, session or parent, and
/proc shows it to all users. It limits how long a process with *real-time priority* may compute without a pause, in
microseconds. A mark is over 70,000 years, so it limits nothing. A process can lower its mark, as any hard limit: marks
identify processes, and do not confine hostile ones.
"""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

_NUMBER_BITS = 12
_PLATFORM_BITS = 48
# Above every mark's other bits, so that every mark is a long time.
_BASE = 1 << (_PLATFORM_BITS + _NUMBER_BITS + 1)
LAST_NUMBER = (1 << _NUMBER_BITS) - 1
_LIMIT = b"Max realtime timeout"
TIMEOUT_SECONDS = 10.0
_PAUSE_SECONDS = 0.005
_QUIET_SCANS = 10

Filter = Callable[[int], bool]


class MarkError(Exception):
    """This process cannot be marked."""


def of_platform(data_directory: Path) -> int:
    """The mark of the platform of a directory: that of host number 0, which does not exist."""
    digest = hashlib.sha256(str(data_directory.resolve()).encode()).digest()
    return _BASE | int.from_bytes(digest[: _PLATFORM_BITS // 8], "big") << _NUMBER_BITS


def of_host(platform_mark: int, number: int) -> int:
    """The mark of a host.

    Args:
        platform_mark: the platform's mark.
        number: the host's number on its platform, 1 to LAST_NUMBER.
    """
    return platform_mark | number


def wear(mark: int) -> None:
    """Mark this process and all its future children, for good.

    Raises:
        MarkError: its limit is lower already.
    """
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (mark, mark))
    except (OSError, ValueError) as error:
        raise MarkError(f"the limit RLIMIT_RTTIME cannot be set ({error}): `ulimit -R` must be unlimited") from error


def is_host(mark: int) -> Filter:
    """A filter for the processes of one host."""
    return lambda found: found == mark


def is_platform(platform_mark: int) -> Filter:
    """A filter for the processes of all hosts of a platform."""
    return lambda found: found >> _NUMBER_BITS == platform_mark >> _NUMBER_BITS


def processes(wanted: Filter) -> list[int]:
    """The running processes on this machine with such a mark."""
    numbers = (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
    return [number for number in numbers if wanted(_mark(number)) and _is_alive(number)]


def kill(wanted: Filter, spare: Collection[int] = ()) -> bool:
    """Kill all processes with such a mark, including those that they start meanwhile; whether none is left.

    Args:
        wanted: the filter of marks.
        spare: numbers of processes to spare.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    quiet = 0
    while quiet < _QUIET_SCANS and time.monotonic() < deadline:
        forks = _forks()
        found = [number for number in processes(wanted) if number not in spare]
        if not found and _forks() == forks:
            return True
        # After a fork during the scan, a child may have been missed whose parent has ended.
        quiet = 0 if found else quiet + 1
        for number in found:
            _kill(number, wanted)
        time.sleep(_PAUSE_SECONDS)
    return quiet >= _QUIET_SCANS


def _forks() -> bytes:
    """The number of processes ever created on this machine."""
    lines = _read_file(Path("/proc/stat")).splitlines()
    return next((line for line in lines if line.startswith(b"processes ")), b"")


def _kill(number: int, wanted: Filter) -> None:
    try:
        handle = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        # Checked again: the number may have been reused before it was opened.
        if wanted(_mark(number)):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _mark(number: int) -> int:
    """The mark of a process; 0 if it has none."""
    for line in _read(number, "limits").splitlines():
        if line.startswith(_LIMIT):
            hard = line[len(_LIMIT) :].split()[1]
            return int(hard) if hard.isdigit() else 0
    return 0


def _is_alive(number: int) -> bool:
    """Whether it runs, and is no zombie."""
    state = _read(number, "stat").rpartition(b") ")[2][:1]
    return state not in (b"", b"Z", b"X")


def _read(number: int, name: str) -> bytes:
    return _read_file(Path("/proc", str(number), name))


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended meanwhile
        return b""
