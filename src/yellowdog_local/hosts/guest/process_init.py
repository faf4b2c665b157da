"""The first process of a process host: marks itself, starts sshd, user data and agent, reaps. Stdlib and `init` only.

It speaks with the platform as `init.py` does, without `wired`, and its standard input too ends with the platform. Then
it kills all that bears its mark. The host's orphans become its children, so that they are reaped on a machine whose own
first process may be no init at all, as in many containers.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from yellowdog_local.hosts.guest import init, marks
from yellowdog_local.hosts.guest.init import BootError, Control, PlatformGoneError, Spec, log

PR_SET_CHILD_SUBREAPER = 36
PRIVILEGE_SEPARATION = "/run/sshd"  # sshd does not start as root without it, and its package makes it at boot only


class ProcessInit(init.Init):
    """Starts the host's services in order and reaps whatever dies."""

    def __init__(self, spec: Spec, control: Control) -> None:
        super().__init__(spec, control)
        self.logs = spec["log_directory"]
        self.user_data = spec["user_data_file"]

    def boot(self) -> None:
        """From a process to a host that answers on SSH.

        Raises:
            BootError: it does not come up.
        """
        _become_subreaper()
        init.raise_open_files_limit()
        if os.geteuid() == 0:
            Path(PRIVILEGE_SEPARATION).mkdir(mode=0o755, exist_ok=True)
        self._start_sshd([self._spec["sshd"], "-D", "-e", "-f", self._spec["sshd_config"]], self._spec["address"])

    def _user_data_environment(self) -> dict[str, str]:
        environment: dict[str, str] = self._spec["agent"]["environment"] | self._spec["agent"]["paths"]
        return environment

    def _agent_user(self) -> dict[str, Any]:
        return {}


def _become_subreaper() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise BootError(f"it cannot adopt orphans: {os.strerror(ctypes.get_errno())}")


def _switch_off(_number: int, _frame: FrameType | None) -> None:
    raise PlatformGoneError


def _end_all(mark: int) -> None:
    marks.kill(marks.is_host(mark), spare=[os.getpid()])
    with suppress(ChildProcessError):  # raised when there is none left
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> int:
    """Boot and serve until the platform is gone; then nothing of the host runs on."""
    os.umask(0o022)
    signal.signal(signal.SIGTERM, _switch_off)
    control = Control()
    mark = int(sys.argv[2])
    try:
        spec = json.loads(control.read())
        try:
            marks.wear(mark)
            host = ProcessInit(spec, control)
            host.boot()
        except (OSError, BootError, marks.MarkError) as error:
            log(f"boot failed: {error}")
            control.tell(event="failed", message=str(error))
            return 1
        control.tell(event="booted")
        log("booted")
        host.serve()
    except PlatformGoneError:
        log("switched off: the platform let go")
    finally:
        _end_all(mark)
    return 0


if __name__ == "__main__":
    sys.exit(main())
