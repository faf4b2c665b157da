"""The simulated processes of ours: `ray` commands on the user's machine, and the head's autoscaler.

All of them run in this one process, one at a time. Each has its own environment, may be killed at one of its platform
calls, and runs the work of its threads in a fixed order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.selection import EXHAUSTIVE
from yellowdog_local.recording import RecordedCall


class Killed(BaseException):
    """SIGKILL: no code of the process itself handles it."""


@dataclass(frozen=True)
class Kill:
    """When a process is killed.

    Attributes:
        call: the number of the platform call, counted from 1 at the moment it was condemned.
        applied: after the platform has served that call, instead of before it leaves.
        signal: `Killed`, or `KeyboardInterrupt` (Ctrl-C), after which the process may clean up.
        name: the call itself; for messages.
    """

    call: int
    applied: bool
    signal: type[BaseException] = Killed
    name: str = ""

    def __str__(self) -> str:
        name = f", {self.name}" if self.name else ""
        return f"{'after' if self.applied else 'before'} its call {self.call}{name}"


def every_kill(calls: Iterable[RecordedCall], signal: type[BaseException] = Killed) -> list[Kill]:
    """One kill before and one after each call that changes something; in exhaustive runs one before each read, too.

    A process that dies at a read leaves the same on the platform as one that dies before its next change.
    """
    kills = []
    for number, call in enumerate(calls, 1):
        name, changes = f"{call.method} {call.route}", call.method != "GET"
        if changes or EXHAUSTIVE:
            kills.append(Kill(number, applied=False, signal=signal, name=name))
        if changes:
            kills.append(Kill(number, applied=True, signal=signal, name=name))
    return kills


@dataclass
class Process:
    """One process.

    Attributes:
        name: its name in the story.
        environment: the variables it has in addition to those of the run.
        background: whether the work of its threads waits for its main loop to pause; otherwise it runs at once.
        clock_error: how far the clock of its machine is ahead.
        calls: the number of its platform calls so far.
        kill: when it is killed, if it is; counted from `condemned_at`.
        struck: whether that moment has come.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    background: bool = False
    clock_error: timedelta = timedelta(0)
    calls: int = 0
    kill: Kill | None = None
    condemned_at: int = 0
    struck: bool = False
    jobs: list[Job] = field(default_factory=list)

    def condemn(self, kill: Kill) -> None:
        """Have it killed at a call that is still to come."""
        self.kill = kill
        self.condemned_at = self.calls
        self.struck = False

    def survives(self, *, applied: bool) -> None:
        """Raise the signal if this is the moment; a process that SIGKILL has ended makes no further call."""
        kill = self.kill
        if kill is None:
            return
        if self.struck and kill.signal is not Killed:
            return
        due = kill.applied is applied and self.calls - self.condemned_at >= kill.call
        if due or self.struck:
            self.struck = True
            raise kill.signal

    def work_off(self) -> None:
        """Run the work of its threads, in the order in which it was submitted, until none is left."""
        while self.jobs:
            self.jobs.pop(0).do()


@dataclass(eq=False)
class Job:
    """The work of one thread."""

    future: Future[Any]
    work: Callable[[], Any]

    def do(self) -> None:
        """Run it. Only a `BaseException` that is no `Exception` propagates: a kill or a violation."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.work())
        except Exception as error:  # noqa: BLE001  as a thread pool does
            self.future.set_exception(error)


class Pool(Executor):
    """A thread pool without threads."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        """Queue the work, or run it at once where the process waits for it."""
        job = Job(Future(), lambda: work(*arguments, **more))
        if self._process.background:
            self._process.jobs.append(job)
        else:
            job.do()
        return job.future

    def map(self, work: Callable[..., Any], *arguments: Iterable[Any], **_: Any) -> Iterator[Any]:
        """Run everything at once, one after the other: the caller waits for it."""
        return map(work, *arguments)


class Processes:
    """The processes, of which one runs at any moment; outside all of them, the test itself does."""

    def __init__(self) -> None:
        self._running: list[Process] = []
        self._test = Process("test")

    @property
    def current(self) -> Process:
        """The process whose code runs."""
        return self._running[-1] if self._running else self._test

    @property
    def name(self) -> str:
        """Its name in the story; outside all processes the platform runs."""
        return self._running[-1].name if self._running else "platform"

    def make_pool(self, *_: Any, **__: Any) -> Pool:
        """Stands in for `ThreadPoolExecutor`."""
        return Pool(self.current)

    @contextmanager
    def inside(self, process: Process) -> Iterator[Process]:
        """Run a block inside a process, with its environment; another process may have been interrupted."""
        before = dict(os.environ)
        for interrupted in self._running:
            for name in interrupted.environment:
                os.environ.pop(name, None)
        os.environ.update(process.environment)
        self._running.append(process)
        try:
            yield process
        finally:
            self._running.pop()
            _restore_environment(before)


def _restore_environment(before: dict[str, str]) -> None:
    """Undo the changes only: each assignment is a call of the C library."""
    now = dict(os.environ)
    for name in now.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before.items() - now.items())
