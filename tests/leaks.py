"""Finds what a test leaves behind on the machine. Knows nothing of pytest, nor of RayDog's own classes.

What other people do on the same machine at the same time must never fail a test, so a process counts only
when it is surely ours: a descendant of the test process, or of a process that is ours; or, when its parents
are gone, one whose environment carries this run's marker, which everything that we start inherits. One thing
cannot be told from a stranger: a daemon, forked without an exec, whose parents are gone.

Network devices, network namespaces and mounts have no owner that could be asked. They count when their name
says RayDog, and only around tests that start real hosts. Two runs of such tests at the same time get in each
other's way.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MARKER = "RAYDOG_TEST_RUN"
GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.02
# Helpers of Python's own, which live as long as the interpreter.
_INTERPRETER_HELPERS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")

Probe = Callable[[], Collection[str]]


def mark_this_run() -> str:
    """Put a new marker into the environment, for every process that is started from here on; returns it.

    A run within a run keeps the outer marker as well, so that the outer one still knows its descendants.
    """
    mark = uuid.uuid4().hex
    os.environ[MARKER] = "/".join(filter(None, (os.environ.get(MARKER), mark)))
    return mark


@dataclass(frozen=True)
class Process:
    """A process of ours. The start time tells it from a later one with the same number."""

    pid: int
    started: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


@dataclass(frozen=True)
class Snapshot:
    """What there was before a test."""

    pids: frozenset[int]
    threads: frozenset[threading.Thread]
    mounts: frozenset[str]
    links: frozenset[str]
    namespaces: frozenset[str]
    watched: dict[str, frozenset[str]] = field(default_factory=dict)


class LeakDetector:
    """Compares the machine before and after a test.

    Args:
        mark: what `mark_this_run` returned.
        own_directory: where this run's temporary files are: a mount below it is ours without a doubt.
    """

    def __init__(self, mark: str, own_directory: Path | None = None) -> None:
        self._mark = mark.encode()
        self._own_directory = str(own_directory) if own_directory else None
        self._ours: dict[int, int] = {}  # start times by pid, of the processes that were found to be ours
        self._looked_at: frozenset[int] = frozenset()
        self._reported: set[str] = set()
        self._probes: dict[str, Probe] = {}

    def watch(self, kind: str, probe: Probe) -> None:
        """From the next snapshot on, also compare what `probe` returns: say, the names of live instances."""
        self._probes[kind] = probe

    def unwatch(self, kind: str) -> None:
        """Forget a probe, when what it looks at is closed."""
        self._probes.pop(kind, None)

    def snapshot(self, *, hosts: bool = False) -> Snapshot:
        """Look at the machine. With `hosts`, at its network and at all of its mounts as well."""
        pids = _pids()
        for pid in pids - self._looked_at:
            self._process_of_ours(pid)
        self._looked_at = pids
        return Snapshot(
            pids=pids,
            threads=frozenset(threading.enumerate()),
            mounts=self._mounts(hosts=hosts),
            links=_links() if hosts else frozenset(),
            namespaces=_network_namespaces() if hosts else frozenset(),
            watched={kind: frozenset(probe()) for kind, probe in self._probes.items()},
        )

    def leaks(self, before: Snapshot, *, hosts: bool = False, grace: float = GRACE_SECONDS) -> list[str]:
        """What there is now and was not before, in words; waits a moment for what is just going.

        What was told once is not told again, to a snapshot that is older still.
        """
        deadline = time.monotonic() + grace
        while (found := self._news(before, hosts=hosts)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._reported.update(found)
        return found

    def end_processes(self, before: Snapshot) -> None:
        """End, by their ids, the processes of ours that were not there before, for the tests that follow."""
        for process in self._processes(before):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)

    def _news(self, before: Snapshot, *, hosts: bool) -> list[str]:
        return [leak for leak in self._found(before, hosts=hosts) if leak not in self._reported]

    def _found(self, before: Snapshot, *, hosts: bool) -> list[str]:
        found = [str(process) for process in self._processes(before)]
        found += [f"thread {thread.name}" for thread in _lasting_threads() - before.threads]
        found += [f"mount {mount}" for mount in sorted(self._mounts(hosts=hosts) - before.mounts)]
        if hosts:
            found += [f"network device {link}" for link in sorted(_links() - before.links)]
            found += [
                f"network namespace {name}" for name in sorted(_network_namespaces() - before.namespaces)
            ]
        for kind, probe in self._probes.items():
            if kind in before.watched:
                found += [f"{kind} {name}" for name in sorted(frozenset(probe()) - before.watched[kind])]
        return found

    def _processes(self, before: Snapshot) -> list[Process]:
        new = sorted(_pids() - before.pids)
        return [process for pid in new if (process := self._process_of_ours(pid))]

    def _process_of_ours(self, pid: int) -> Process | None:
        """The process, if it is alive and ours."""
        stat = _stat(pid)
        if stat is None or not self._is_ours(pid, stat):
            return None
        self._ours[pid] = stat.started
        command = _command(pid)
        if any(helper in command for helper in _INTERPRETER_HELPERS):
            return None
        words = command.replace(b"\0", b" ").strip().decode(errors="replace")
        return Process(pid, stat.started, words[:120] or "no command line")

    def _is_ours(self, pid: int, stat: _Stat) -> bool:
        me = os.getpid()
        seen: _Stat | None = stat
        while seen is not None and pid not in (0, 1, me):
            if self._ours.get(pid) == seen.started or self._mark in _environment(pid):
                return True
            if seen.parent == me:
                return True
            pid, seen = seen.parent, _stat(seen.parent)
        return False

    def _mounts(self, *, hosts: bool) -> frozenset[str]:
        points = {_mount_point(line) for line in _read("/proc/self/mountinfo").splitlines()}
        return frozenset(point for point in points if self._is_our_mount(point, hosts=hosts))

    def _is_our_mount(self, point: str, *, hosts: bool) -> bool:
        if self._own_directory and point.startswith(self._own_directory + "/"):
            return True
        return hosts and "raydog" in point


@dataclass(frozen=True)
class _Stat:
    parent: int
    started: int


def _pids() -> frozenset[int]:
    return frozenset(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - pathlib is slow here


def _stat(pid: int) -> _Stat | None:
    """Parent and start time; None for a process that is gone, or dead and only not yet waited for."""
    _, _, rest = _read(f"/proc/{pid}/stat").rpartition(") ")
    fields = rest.split()
    if not fields or fields[0] in "ZX":
        return None
    return _Stat(parent=int(fields[1]), started=int(fields[19]))


def _environment(pid: int) -> bytes:
    return _read_bytes(f"/proc/{pid}/environ")


def _command(pid: int) -> bytes:
    return _read_bytes(f"/proc/{pid}/cmdline")


def _lasting_threads() -> frozenset[threading.Thread]:
    """The threads that would keep the interpreter from ending."""
    return frozenset(thread for thread in threading.enumerate() if thread.is_alive() and not thread.daemon)


def _links() -> frozenset[str]:
    return frozenset(name for _, name in socket.if_nameindex() if name.startswith("raydog"))


def _network_namespaces() -> frozenset[str]:
    with suppress(OSError):
        return frozenset(entry.name for entry in os.scandir("/run/netns") if entry.name.startswith("raydog"))
    return frozenset()


def _mount_point(line: str) -> str:
    return line.split(" ", 5)[4]


def _read(path: str) -> str:
    return _read_bytes(path).decode(errors="replace")


def _read_bytes(path: str) -> bytes:
    """A file of /proc, or nothing: processes go while one looks, and some belong to others."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while part := os.read(descriptor, 65536):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)
    return b""
