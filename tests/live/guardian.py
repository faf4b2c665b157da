"""Ends a cluster when the process that made it has ended, however it has ended, or when its time is over.

It runs in a session of its own and reads the end of a pipe that only the other process keeps open.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.live.account import Access, ClusterView

MARKER = "RAYDOG_LIVE_CLUSTER"
"""The variable in the environment of every `ray` command of a run."""

REMOVAL_SECONDS = 1200.0
"""Seconds in which the platform must show that nothing is left. An outage is retried for as long."""

SETTLING_SECONDS = 30.0
"""Seconds in which all readings must show nothing after an abnormal end: a list may not show the newest objects yet."""

REMOVED, LEFT = 3, 4
"""Exit statuses of the guardian: something was left and has ended, or it has not. Python's own are 1 and 2."""

_ORDERLY = b"."
_READY = b"."
_PAUSE_SECONDS = 1.0
_ROOT = Path(__file__).parents[2]


class GuardianFailed(Exception):
    """The guardian did not start."""


class Guardian:
    """A guardian of one cluster, for the process that makes it. A context manager.

    Args:
        cluster: the cluster's name.
        seconds: when the guardian ends the cluster, and this process, at the latest.
        log: the file for its report.
        settling: `SETTLING_SECONDS`.

    Attributes:
        report: what it has found, once the context has ended; empty if nothing was left.
        is_over: whether it has reported that nothing is left any more.
    """

    def __init__(self, cluster: str, seconds: float, log: Path, settling: float = SETTLING_SECONDS) -> None:
        self.log = log
        self.report = ""
        self.is_over = False
        words = [cluster, str(os.getpid()), str(seconds), str(settling)]
        self._command = [sys.executable, "-m", "tests.live.guardian", *words]

    def __enter__(self) -> Guardian:
        """Start the guardian, and wait until it is ready: nothing is made without it.

        Raises:
            GuardianFailed: it has ended.
        """
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb", buffering=0) as ready:
            try:
                self._start(writer)
            finally:
                os.close(writer)
            if ready.read(1) != _READY:
                self.is_over = True  # nothing was made
                raise GuardianFailed(f"the guardian has ended with {self._process.wait()}: {self.log.read_text()}")
        return self

    def _start(self, writer: int) -> None:
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [*self._command, str(writer)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=_ROOT,
                start_new_session=True,
                pass_fds=[writer],
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(_ORDERLY if kind is None else b"")
            self._process.stdin.close()
        try:
            self.is_over = self._process.wait() in (0, REMOVED)
        finally:
            status = self._process.returncode
            self.report = "" if status == 0 else self.log.read_text() or f"the guardian has ended with {status}"


def main() -> int:
    """Wait for the end of the other process or of its time, then end the cluster. Returns 0 if nothing was left."""
    cluster, maker, seconds, settling = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    view = ClusterView(Access.from_environment(os.environ), cluster, retries=False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for ready in map(int, sys.argv[5:]):
        with suppress(BrokenPipeError):
            os.write(ready, _READY)
        os.close(ready)
    if not select.select([sys.stdin], [], [], seconds)[0]:
        _log(f"the machine-minutes are used up after {seconds:.0f} s: ending the run")
        with suppress(OSError):  # it may have ended meanwhile
            os.kill(maker, signal.SIGTERM)
    elif os.read(sys.stdin.fileno(), 1) == _ORDERLY:
        settling = 0
    return remove(view, cluster, settling)


def removal_command(cluster: str) -> str:
    """The command that removes a cluster, with the variables of the run."""
    return f"scripts/test --live -- --remove {cluster}"


def remove(view: ClusterView, cluster: str, settling: float) -> int:
    """Remove what is left until readings show nothing for a time: a killed command may have a late call.

    A call that fails is repeated until `REMOVAL_SECONDS` have passed: a platform that cannot be read may have machines.

    Args:
        view: the cluster on the platform.
        cluster: its name.
        settling: seconds of readings that show nothing; two readings at least.

    Returns:
        0 if nothing was left, `REMOVED`, or `LEFT`.
    """
    deadline, removed = time.monotonic() + REMOVAL_SECONDS, False
    empty_since: float | None = None
    progress = _Progress(cluster)
    while True:
        _end_commands(cluster)
        left, errors = view.remove()
        removed, now = removed or bool(left), time.monotonic()
        if left or errors:
            empty_since = None
            progress.report(left, errors)
        elif empty_since is None:
            empty_since = now
        elif now - empty_since >= settling:
            break
        if (left or errors) and now > deadline:
            _log(f"LEFT: {_names(left, errors)}: run `{removal_command(cluster)}`, or end it in YellowDog's portal")
            return LEFT
        time.sleep(_PAUSE_SECONDS)
    if removed:
        _log("removed; nothing is left")
    return REMOVED if removed else 0


class _Progress:
    """Logs what is left whenever it changes: an error's text may differ at each attempt."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._last: tuple[list[str], list[str]] = [], []

    def report(self, left: list[str], errors: dict[str, str]) -> None:
        if self._last == (left, list(errors)):
            return
        self._last = left, list(errors)
        _log(f"removing {_names(left, errors)}")
        for subject, error in errors.items():
            _log(f"  failed, {subject}: {error}")
        if errors:
            _log(
                f"  retrying, for {REMOVAL_SECONDS:.0f} s at most. If this process ends before, run "
                f"`{removal_command(self._cluster)}`"
            )


def _names(left: list[str], errors: dict[str, str]) -> str:
    """What has not ended, and the kinds that cannot be read."""
    unreadable = [f"{subject} that cannot be read" for subject in errors if subject not in left]
    return ", ".join([*left, *unreadable])


def _log(text: str) -> None:
    """Write a line of the log, without a buffer. A full disk must not end the removal."""
    with suppress(OSError):
        os.write(sys.stdout.fileno(), f"{text}\n".encode(errors="replace"))


def _end_commands(cluster: str) -> None:
    """Kill the `ray` commands of the run; without their parent they would run on."""
    with suppress(OSError):  # too many open files: the next attempt may succeed
        for process in Path("/proc").iterdir():
            with suppress(OSError):
                if process.name.isdigit() and f"{MARKER}={cluster}".encode() in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
