"""Detects leaks of a test: processes, threads, mounts and network devices. Imports neither pytest nor RayDog.

Other users of the machine must never fail a test, so a process counts only if it is proven to be ours: a descendant
of the test process or of another process of ours, or a process whose environment contains this run's marker.
Child processes inherit the marker. One leak is not detected: a daemon, forked without an exec, whose parents are gone.

A mount counts if it is below this run's temporary directory. The alias of a network bridge is the data directory of
its platform. A bridge counts with its cables if that is below our directory, or if it has no alias: its set-up was
interrupted. A host's network namespace ends with its processes; a named one counts if its name contains RayDog.
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
_EXEC_SECONDS = 0.003
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD among the flags in /proc/<pid>/stat
# Python's own helper processes, which end with the interpreter.
_INTERPRETER_HELPERS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")

Probe = Callable[[], Collection[str]]


def mark_this_run() -> str:
    """Put a new marker into the environment, which later child processes inherit, and return it.

    A nested run keeps the outer marker as well, so that the outer run still identifies its descendants.
    """
    mark = uuid.uuid4().hex
    os.environ[MARKER] = "/".join(filter(None, (os.environ.get(MARKER), mark)))
    return mark


@dataclass(frozen=True)
class Process:
    """A process of ours. The start time distinguishes it from a later one with the same number."""

    pid: int
    started: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


@dataclass(frozen=True)
class Snapshot:
    """The state of the machine before a test."""

    pids: frozenset[int]
    threads: frozenset[threading.Thread]
    mounts: frozenset[str]
    links: frozenset[str]
    namespaces: frozenset[str]
    watched: dict[str, frozenset[str]] = field(default_factory=dict)


class LeakDetector:
    """Compares the machine before and after a test.

    Args:
        mark: the marker of `mark_this_run`.
        own_directory: the directory of this run's temporary files; names of paths below it are ours.
    """

    def __init__(self, mark: str, own_directory: Path | None = None) -> None:
        self._mark = mark.encode()
        self._own_directory = str(own_directory) if own_directory else None
        self._ours: dict[int, int] = {}  # start times by pid of our processes
        self._foreign: dict[int, int] = {}  # start times by pid of foreign processes
        self._examined: frozenset[int] = frozenset()
        self._reported: set[str] = set()
        self._probes: dict[str, Probe] = {}

    def watch(self, kind: str, probe: Probe) -> None:
        """Compare the results of `probe` too, from the next snapshot on: for example, names of live instances."""
        self._probes[kind] = probe

    def unwatch(self, kind: str) -> None:
        """Remove a probe."""
        self._probes.pop(kind, None)

    def snapshot(self) -> Snapshot:
        """Record the present state of the machine."""
        pids = _pids()
        for pid in pids - self._examined:
            self._process_of_ours(pid)
        self._examined = pids
        return Snapshot(
            pids=pids,
            threads=frozenset(threading.enumerate()),
            mounts=self._mounts(),
            links=self._links(),
            namespaces=_network_namespaces(),
            watched={kind: frozenset(probe()) for kind, probe in self._probes.items()},
        )

    def leaks(self, before: Snapshot, *, grace: float = GRACE_SECONDS) -> list[str]:
        """Describe everything that is new since a snapshot, after a short wait for things that are about to end.

        Each leak is reported once, also when a later call compares with an older snapshot.
        """
        deadline = time.monotonic() + grace
        while (found := self._unreported(before)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._reported.update(found)
        return found

    def end_processes(self, before: Snapshot) -> None:
        """End our processes that are new since a snapshot, by their ids, so that they do not disturb later tests."""
        for process in self._processes(before):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)

    def _unreported(self, before: Snapshot) -> list[str]:
        return [leak for leak in self._found(before) if leak not in self._reported]

    def _found(self, before: Snapshot) -> list[str]:
        found = [str(process) for process in self._processes(before)]
        found += [f"thread {thread.name}" for thread in _lasting_threads() - before.threads]
        found += [f"mount {mount}" for mount in sorted(self._mounts() - before.mounts)]
        found += [f"network device {link}" for link in sorted(self._links() - before.links)]
        found += [f"network namespace {name}" for name in sorted(_network_namespaces() - before.namespaces)]
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
        ancestor, seen, line = pid, stat, []
        while ancestor not in (0, 1, me) and self._foreign.get(ancestor) != seen.started:
            if seen.parent == me or self._ours.get(ancestor) == seen.started or self._mark in _environment(ancestor):
                return True
            line.append((ancestor, seen.started))
            ancestor, above = seen.parent, _stat(seen.parent)
            if above is None:
                break
            seen = above
        self._foreign.update(line)
        return False

    def _mounts(self) -> frozenset[str]:
        points = (_mount_point(line) for line in _read("/proc/self/mountinfo").splitlines())
        return frozenset(point for point in points if self._is_in_our_directory(point))

    def _links(self) -> frozenset[str]:
        names = (name for _, name in socket.if_nameindex() if name.startswith("raydog"))
        return frozenset(name for name in names if self._is_our_link(name))

    def _is_our_link(self, name: str) -> bool:
        alias = _read(f"/sys/class/net/{_bridge_of(name)}/ifalias").strip()
        return not alias or self._is_in_our_directory(alias)

    def _is_in_our_directory(self, path: str) -> bool:
        return self._own_directory is not None and path.startswith(self._own_directory + "/")


@dataclass(frozen=True)
class _Stat:
    parent: int
    started: int


def _pids() -> frozenset[int]:
    return frozenset(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - pathlib is slow here


def _stat(pid: int) -> _Stat | None:
    """Parent and start time; None for an ended process, a zombie, and a kernel thread."""
    _, _, rest = _read(f"/proc/{pid}/stat").rpartition(") ")
    fields = rest.split()
    if not fields or fields[0] in "ZX" or int(fields[6]) & _KERNEL_THREAD:
        return None
    return _Stat(parent=int(fields[1]), started=int(fields[19]))


def _environment(pid: int) -> bytes:
    """The initial environment of a process; empty if it got none, or if it belongs to another user.

    It is empty for a moment during an exec, so an empty one is read twice.
    """
    path = f"/proc/{pid}/environ"
    if environment := _read_bytes(path):
        return environment
    if os.access(path, os.R_OK):
        time.sleep(_EXEC_SECONDS)
    return _read_bytes(path)


def _command(pid: int) -> bytes:
    return _read_bytes(f"/proc/{pid}/cmdline")


def _lasting_threads() -> frozenset[threading.Thread]:
    """The threads that would keep the interpreter from ending."""
    return frozenset(thread for thread in threading.enumerate() if thread.is_alive() and not thread.daemon)


def _bridge_of(link: str) -> str:
    """The bridge of a cable; any other device itself."""
    with suppress(OSError):
        return Path(f"/sys/class/net/{link}/master").readlink().name
    return link


def _network_namespaces() -> frozenset[str]:
    with suppress(OSError):
        return frozenset(entry.name for entry in os.scandir("/run/netns") if entry.name.startswith("raydog"))
    return frozenset()


def _mount_point(line: str) -> str:
    return line.split(" ", 5)[4]


def _read(path: str) -> str:
    return _read_bytes(path).decode(errors="replace")


def _read_bytes(path: str) -> bytes:
    """A file of /proc; empty if it cannot be read: its process has ended, or belongs to another user."""
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
