"""The processes of ours that a run knows: the user's `ray` commands and the head's autoscaler.

All of them live in this one process, one at a time. Each has an environment of its own, may be killed at one of its
platform calls, and what it begins in threads is done in a fixed order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


class Killed(BaseException):
    """SIGKILL: nothing of the process's own handles it."""


@dataclass(frozen=True)
class Kill:
    """When a process is killed.

    Attributes:
        call: at which of its platform calls from when it was condemned, counted from 1.
        applied: after the platform has served that call, rather than before.
    """

    call: int
    applied: bool

    def __str__(self) -> str:
        return f"{'after' if self.applied else 'before'} its call {self.call}"


@dataclass
class Process:
    """One process.

    Attributes:
        name: how the story calls it.
        environment: what its environment has beside the run's own.
        background: whether its threads' work waits for its main loop to pause; otherwise it is done at once.
        calls: its platform calls so far.
        kill: when it is killed, if it is; counted from `condemned_at`.
    """

    name: str
    environment: dict[str, str]
    background: bool = False
    calls: int = 0
    kill: Kill | None = None
    condemned_at: int = 0
    jobs: list[Job] = field(default_factory=list)

    def condemn(self, kill: Kill) -> None:
        """Have it killed at a call that is still to come."""
        self.kill = kill
        self.condemned_at = self.calls

    def survives(self, *, applied: bool) -> None:
        """Raise `Killed` if this is the moment."""
        kill = self.kill
        if kill is not None and kill.applied is applied and self.calls - self.condemned_at >= kill.call:
            raise Killed

    def work_off(self) -> None:
        """Do what its threads have begun, and what that begins, in the order in which it was begun."""
        while self.jobs:
            self.jobs.pop(0).do()


@dataclass(eq=False)
class Job:
    """What one thread is to do."""

    future: Future[Any]
    work: Callable[[], Any]

    def do(self) -> None:
        """Do it. Only `BaseException` that is no `Exception` gets out: a kill or a violation."""
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
        """Note the work, or do it at once where the process does not go on meanwhile."""
        job = Job(Future(), lambda: work(*arguments, **more))
        if self._process.background:
            self._process.jobs.append(job)
        else:
            job.do()
        return job.future

    def map(self, work: Callable[..., Any], *arguments: Iterable[Any], **_: Any) -> Iterator[Any]:
        """Do it all at once, one after the other: whoever asks for it waits for it."""
        return map(work, *arguments)


class Processes:
    """Who runs at the moment."""

    def __init__(self) -> None:
        self._running: list[Process] = []

    @property
    def current(self) -> Process | None:
        """The process whose code runs."""
        return self._running[-1] if self._running else None

    @property
    def name(self) -> str:
        """What the story calls it."""
        return self.current.name if self.current else "platform"

    def make_pool(self, *_: Any, **__: Any) -> Pool:
        """Stands in for `ThreadPoolExecutor`."""
        if self.current is None:
            raise RuntimeError("a thread pool is made outside all processes")
        return Pool(self.current)

    @contextmanager
    def inside(self, process: Process) -> Iterator[Process]:
        """Be inside a process, with its environment; another may have been interrupted."""
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
            os.environ.clear()
            os.environ.update(before)
