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
"""Seconds in which the platform must show that nothing is left."""

SETTLING_SECONDS = 30.0
"""Seconds in which all readings must show nothing after an abnormal end: a list may not show the newest objects yet."""

REMOVED, LEFT = 3, 4
"""Exit statuses of the guardian: something was left and has ended, or it has not. Python's own are 1 and 2."""

_ORDERLY = b"."
_PAUSE_SECONDS = 1.0
_ROOT = Path(__file__).parents[2]


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
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=_ROOT, start_new_session=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(_ORDERLY if kind is None else b"")
            self._process.stdin.close()
        try:
            status = self._process.wait()
            self.is_over = status in (0, REMOVED)
        finally:
            self.report = "" if self._process.returncode == 0 else self.log.read_text()


def main() -> int:
    """Wait for the end of the other process or of its time, then end the cluster. Returns 0 if nothing was left."""
    cluster, maker, seconds, settling = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    view = ClusterView(Access.from_environment(os.environ), cluster)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not select.select([sys.stdin], [], [], seconds)[0]:
        print(f"the machine-minutes are used up after {seconds:.0f} s: ending the run", flush=True)
        os.kill(maker, signal.SIGTERM)
    elif os.read(sys.stdin.fileno(), 1) == _ORDERLY:
        settling = 0
    return _remove(view, cluster, settling)


def _remove(view: ClusterView, cluster: str, settling: float) -> int:
    """Remove what is left until readings show nothing for a time: a killed command may have a late call.

    Args:
        view: the cluster on the platform.
        cluster: its name.
        settling: seconds of readings that show nothing; two readings at least.
    """
    deadline, removed = time.monotonic() + REMOVAL_SECONDS, False
    empty_since: float | None = None
    while True:
        _end_commands(cluster)
        left, now = _left(view), time.monotonic()
        if left:
            removed, empty_since = True, None
            print(f"removing {', '.join(left)}", flush=True)
            view.remove()
        elif empty_since is None:
            empty_since = now
        elif now - empty_since >= settling:
            break
        if left and now > deadline:
            print(f"LEFT: {', '.join(left)}: end them in YellowDog's portal", flush=True)
            return LEFT
        time.sleep(_PAUSE_SECONDS)
    if removed:
        print("removed; nothing is left", flush=True)
    return REMOVED if removed else 0


def _left(view: ClusterView) -> list[str]:
    try:
        return view.left()
    except Exception as error:  # noqa: BLE001 - the platform may answer again later
        return [f"what cannot be read ({error})"]


def _end_commands(cluster: str) -> None:
    """Kill the `ray` commands of the run; without their parent they would run on."""
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and f"{MARKER}={cluster}".encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
