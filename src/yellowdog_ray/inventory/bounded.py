"""Runs checks concurrently, bounded in time: one that hangs delays neither the others nor the end of the command."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from yellowdog_ray.config.check import Check, failed, unchecked
from yellowdog_ray.errors import RayDogError, Throttled, Unavailable

MAX_CONCURRENT = 8
"""As for platform calls: low enough to leave the platform's other clients their share."""


@dataclass(frozen=True)
class Task:
    """Some checks that are made one after the other.

    Attributes:
        section: the heading under which they are shown.
        subject: what they check, in a few words.
        run: makes them. An error of RayDog is a failed check.
    """

    section: str
    subject: str
    run: Callable[[], Iterable[Check]]


@dataclass
class _Running:
    task: Task
    ended: threading.Event = field(default_factory=threading.Event)
    checks: list[Check] = field(default_factory=list)
    bug: BaseException | None = None


class BoundedRun:
    """Runs tasks in threads of their own from its construction on.

    Args:
        tasks: the tasks.
        seconds: how long they may take together; a check that has not ended then is reported as not made.
    """

    def __init__(self, tasks: Sequence[Task], seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._slots = threading.Semaphore(MAX_CONCURRENT)
        self._running = [_Running(task) for task in tasks]
        for each in self._running:
            # As daemons they do not outlive the command, even in a call that hangs.
            threading.Thread(target=self._run, args=(each,), name="raydog-check", daemon=True).start()

    def wait(self, seconds: float) -> list[str]:
        """Wait for the end of all, at most this long. Returns the subjects of those that still run."""
        deadline = min(self._deadline, time.monotonic() + seconds)
        return [
            each.task.subject for each in self._running if not each.ended.wait(max(0.0, deadline - time.monotonic()))
        ]

    def results(self) -> list[tuple[str, Check]]:
        """Wait for the end of all, or of their time. Returns section and check, in the order of the tasks."""
        self.wait(self._seconds)
        found = []
        for each in self._running:
            if not each.ended.is_set():
                late = unchecked(each.task.subject, f"no answer within {self._seconds:g} s")
                found.append((each.task.section, late))
                continue
            if each.bug is not None:
                raise each.bug
            found += [(each.task.section, check) for check in each.checks]
        return found

    def _run(self, running: _Running) -> None:
        with self._slots:
            try:
                running.checks = list(running.task.run())
            except RayDogError as error:
                running.checks = of_error(running.task.subject, error)
            except Exception as error:  # noqa: BLE001 - the caller's thread raises it
                running.bug = error
            running.ended.set()


def of_error(subject: str, error: RayDogError) -> list[Check]:
    """An error as checks: one per line. An answer that did not come shows nothing."""
    if isinstance(error, (Unavailable, Throttled)):
        return [unchecked(subject, str(error))]
    return [failed(subject, line) for line in str(error).splitlines()]
