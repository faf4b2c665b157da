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

from tests.live.account import Account, ClusterView

MARKER = "RAYDOG_LIVE_CLUSTER"
"""The variable in the environment of every `ray` command of a run."""

REMOVAL_SECONDS = 1200.0
"""Seconds in which the platform must show that nothing is left."""

_PAUSE_SECONDS = 1.0
_ROOT = Path(__file__).parents[2]


class Guardian:
    """A guardian of one cluster, for the process that makes it. A context manager.

    Args:
        cluster: the cluster's name.
        seconds: when the guardian ends the cluster, and this process, at the latest.
        log: the file for its report.

    Attributes:
        report: what it has found, once the context has ended; empty if nothing was left.
    """

    def __init__(self, cluster: str, seconds: float, log: Path) -> None:
        self.log = log
        self.report = ""
        self._command = [sys.executable, "-m", "tests.live.guardian", cluster, str(os.getpid()), str(seconds)]

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
        self._process.stdin.close()
        status = self._process.wait()
        self.report = "" if status == 0 else self.log.read_text()


def main() -> int:
    """Wait for the end of the other process or of its time, then end the cluster. Returns 0 if nothing was left."""
    cluster, maker, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not select.select([sys.stdin], [], [], seconds)[0]:
        print(f"the machine-minutes are used up after {seconds:.0f} s: ending the run", flush=True)
        os.kill(maker, signal.SIGTERM)
    return _remove(cluster)


def _remove(cluster: str) -> int:
    """Remove what is left until two readings in a row show nothing: a killed command may have a late call."""
    view = ClusterView(Account.of(os.environ), cluster)
    deadline, empty, removed = time.monotonic() + REMOVAL_SECONDS, 0, False
    while empty < 2:
        _end_commands(cluster)
        left = _left(view)
        empty = 0 if left else empty + 1
        if left:
            removed = True
            print(f"removing {', '.join(left)}", flush=True)
            view.remove()
        if time.monotonic() > deadline:
            print(f"LEFT: {', '.join(left)}: end them in YellowDog's portal", flush=True)
            return 1
        if left or removed:
            time.sleep(_PAUSE_SECONDS)
    if removed:
        print("removed; nothing is left", flush=True)
    return int(removed)


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
