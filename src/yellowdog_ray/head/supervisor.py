"""The supervisor of a head: it runs the tag server and `ray start`, and starts again each process that dies.

It adopts what `ray start` leaves behind, so that the kernel reports each death to it at once. It needs neither Ray nor
the control store, and must not import Ray: it has to work while they do not.
"""

from __future__ import annotations

import math
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from yellowdog_ray.head import processes
from yellowdog_ray.head.events import Events, Restart
from yellowdog_ray.head.kinds import CONTROL_STORE, ESSENTIAL, TAG_SERVER, Kind, kind_of
from yellowdog_ray.head.processes import Command
from yellowdog_ray.head.restarts import Restarts
from yellowdog_ray.node.scripts import CANNOT_SUPERVISE

TAIL_LINES = 10
"""So many last lines of a process's logs are in the task's error."""

_CRASHES_BEFORE_REPAIR = 2
_ANSWER_POLL_SECONDS = 0.1
_WITH_TAG_SERVER_SECONDS = 10.0  # from the tag server's death to that of the control store for it
_TAIL_BYTES = 16_384
_FOREVER_SECONDS = 3600.0


@dataclass
class Supervised:
    """A process under supervision.

    Attributes:
        kind: what it is.
        command: how to start it.
        pid: its process id while it runs.
        started: when it started.
        died: when it died last.
        due: when to start it again; None while it runs.
        reason: why it died last.
        restarts: its deaths.
        repair: what to do when it ends at its start by itself; returns a line to report.
    """

    kind: Kind
    command: Command
    pid: int | None
    started: float
    died: float = -math.inf
    due: float | None = None
    reason: str = ""
    restarts: Restarts = field(default_factory=Restarts)
    repair: Callable[[], str] | None = None


class End(Exception):
    """The head's task ends with this exit code."""

    def __init__(self, code: int, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.code = code


class Supervisor:
    """Supervises the processes of a head.

    Args:
        report: prints a line for the task's output.
        events: the restarts.
        answers: whether the tag server answers. The control store does not get beyond its start without it.
        monotonic: the clock.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        events: Events,
        answers: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._events = events
        self._answers = answers
        self._monotonic = monotonic
        self._processes: list[Supervised] = []
        self._launcher: int | None = None
        self._stopping = False
        self._kills = processes.out_of_memory_kills()

    def add(self, kind: Kind, command: Command, repair: Callable[[], str] | None = None) -> None:
        """Start a process, and supervise it."""
        pid = _start(kind, command)
        self._processes.append(Supervised(kind, command, pid, self._monotonic(), repair=repair))

    def launch(self, command: Command) -> None:
        """Run `ray start`; the processes that it leaves behind are supervised."""
        self._launcher = processes.start(command)

    def stop(self) -> None:
        """Start nothing again from now on."""
        self._stopping = True

    def exited(self, pid: int, code: int) -> None:
        """Record the end of a child.

        Args:
            pid: its process id.
            code: its exit code; the negative number of the signal that killed it.

        Raises:
            End: the head's task cannot go on.
        """
        if pid == self._launcher:
            self._launched(code)
            return
        found = next((process for process in self._processes if process.pid == pid), None)
        if found is None:
            return
        found.pid = None
        if self._stopping:
            return
        if not found.kind.restarts:
            self._end(found, code)
        found.died = self._monotonic()
        self._schedule(found, self._reason(code), self._lived(found), graceful=code in processes.GRACEFUL_CODES)
        if found.repair is not None and code > 0 and found.restarts.crashes == _CRASHES_BEFORE_REPAIR:
            self._report(found.repair())

    def _lived(self, process: Supervised) -> float:
        """How long a dead process has lived: for ever if it died with the tag server, whose crashes count."""
        servers = [other for other in self._processes if other.kind is TAG_SERVER]
        if process.kind is CONTROL_STORE and any(
            process.died - server.died < _WITH_TAG_SERVER_SECONDS for server in servers
        ):
            return math.inf
        return process.died - process.started

    def _schedule(self, process: Supervised, reason: str, lived: float, *, graceful: bool = False) -> None:
        now = self._monotonic()
        process.reason = reason
        process.due = now + process.restarts.died(now, lived, graceful=graceful)
        if process.restarts.in_crash_loop and process.kind.essential:
            raise End(1, [f"the {process.kind.name} ends at each start ({reason})", *tail(process.command)])

    def _launched(self, code: int) -> None:
        self._launcher = None
        if self._stopping:
            return
        if code != 0:
            self._kill_children()
            raise End(CANNOT_SUPERVISE, [f"ray start failed under the supervisor ({processes.reason_of(code)})"])
        own = {process.pid for process in self._processes}
        now = self._monotonic()
        for pid in processes.children():
            command = processes.command_of(pid) if pid not in own else None
            kind = kind_of(command.argv) if command else None
            if command and kind:
                processes.add_badness(pid, kind.memory_badness)
                self._processes.append(Supervised(kind, command, pid, now))
        missing = [kind.name for kind in ESSENTIAL if kind not in {process.kind for process in self._processes}]
        if missing:
            raise End(1, [f"Ray runs without {', '.join(missing)} after ray start; the task ends"])
        restarting = sorted(process.kind.name for process in self._processes if process.kind.restarts)
        self._report(f"Ray runs; these processes restart when they die: {', '.join(restarting)}")

    def _kill_children(self) -> None:
        """Leave nothing of a failed `ray start`, and free the tag server's port."""
        pids = processes.children()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
        self._processes.clear()

    def _end(self, found: Supervised, code: int) -> None:
        if code in processes.GRACEFUL_CODES:
            raise End(0, [f"The {found.kind.name} has exited; the task ends"])
        raise End(1, [f"the {found.kind.name} died ({self._reason(code)}); the task ends", *tail(found.command)])

    def _reason(self, code: int) -> str:
        kills, self._kills = self._kills, processes.out_of_memory_kills()
        return processes.reason_of(code, out_of_memory=self._kills > kills)

    def restart_due(self) -> float:
        """Start again what is due; returns in how many seconds something is due next."""
        if self._stopping:
            return _FOREVER_SECONDS
        for process in self._processes:
            if process.due is None or process.due > self._monotonic():
                continue
            if process.kind is CONTROL_STORE and not self._answers():
                process.due = self._monotonic() + _ANSWER_POLL_SECONDS
            else:
                self._restart(process)
        waiting = [process.due for process in self._processes if process.due is not None]
        return max(0.0, min(waiting) - self._monotonic()) if waiting else _FOREVER_SECONDS

    def _restart(self, process: Supervised) -> None:
        process.due = None
        try:
            process.pid = _start(process.kind, process.command)
        except OSError as error:  # such as too little memory for another process
            self._report(f"the {process.kind.name} cannot be started: {error.strerror}")
            self._schedule(process, process.reason, 0.0)
            return
        process.started = self._monotonic()
        count = process.restarts.recent(process.started)
        seconds = process.started - process.died
        self._events.append(Restart(time.time(), process.kind.name, round(seconds, 1), process.reason, count))

    def report_events(self) -> None:
        """Report restarts that are not reported yet, those of agents included."""
        for restart in self._events.new():
            self._report(restart.line)

    def kill_all(self) -> None:
        """End all processes at once."""
        for process in self._processes:
            if process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)


def _start(kind: Kind, command: Command) -> int:
    """Start a process. The tag server ends with the supervisor; `ray stop` ends Ray's processes."""
    return processes.start(command, ends_with_parent=kind is TAG_SERVER, memory_badness=kind.memory_badness)


def supervise(supervisor: Supervisor, command: Command, control: TextIO) -> int:
    """Run until the head's task ends; returns its exit code.

    A line of `control` starts Ray; its end, or SIGTERM, means that the task is ending, so nothing is started again.
    Its end also ends this program.
    """
    wakeup, written = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.stop())
    signal.signal(signal.SIGINT, lambda *_: supervisor.stop())
    sources = [wakeup, control.fileno()]
    while True:
        reap(supervisor)  # first: a child may have ended before this process received signals
        wait = supervisor.restart_due()
        supervisor.report_events()
        ready, _, _ = select.select(sources, [], [], wait)
        if wakeup in ready:
            os.read(wakeup, 4096)
        if control.fileno() in ready:
            if not os.read(control.fileno(), 4096):
                supervisor.stop()
                return 0
            supervisor.launch(command)


def reap(supervisor: Supervisor) -> None:
    """Report all children that have ended. Raises what `Supervisor.exited` raises."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        supervisor.exited(pid, os.waitstatus_to_exitcode(status))


def tail(command: Command) -> list[str]:
    """The last lines of a process's logs."""
    lines: list[str] = []
    for file in command.logs:
        try:
            with file.open("rb") as log:
                log.seek(max(0, file.stat().st_size - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            continue
        lines += [f"{file.name}: {line}" for line in text.splitlines()[-TAIL_LINES:]]
    return lines
