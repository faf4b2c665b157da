"""The first process of a process host: marks itself, starts sshd, user data and agent, reaps. Standard library only.

Its protocol with the platform is that of `init.py`, without `wired`. When the platform ends, it kills all processes
with its mark. The host's orphans become its children: the machine's first process may not reap, as in many containers.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from yellowdog_local.hosts.guest import init, marks
from yellowdog_local.hosts.guest.control import Control, PlatformGoneError
from yellowdog_local.hosts.guest.init import BootError, Spec
from yellowdog_local.hosts.guest.log import log

PR_SET_CHILD_SUBREAPER = 36
PRIVILEGE_SEPARATION = "/run/sshd"  # sshd needs it as root; its package creates it only at boot


class ProcessInit(init.Init):
    """Starts the host's services in order and reaps its orphans."""

    def __init__(self, spec: Spec, control: Control) -> None:
        super().__init__(spec, control)
        self.logs = spec["log_directory"]
        self.user_data = spec["user_data_file"]

    def boot(self) -> None:
        """Bring the host up, to a running SSH server.

        Raises:
            BootError: the host does not come up.
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
        raise BootError(f"orphans cannot be adopted: {os.strerror(ctypes.get_errno())}")


def _power_off(_number: int, _frame: FrameType | None) -> None:
    raise PlatformGoneError


def _kill_all(mark: int) -> None:
    marks.kill(marks.is_host(mark), spare=[os.getpid()])
    with suppress(ChildProcessError):  # there is none left
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main(arguments: list[str]) -> int:
    """Boot, serve until the platform ends, and kill everything of the host; the exit code.

    Args:
        arguments: the host's disk, for the process list only, and its mark.
    """
    os.umask(0o022)
    signal.signal(signal.SIGTERM, _power_off)
    control = Control()
    mark = int(arguments[1])
    try:
        spec = json.loads(control.read())
        try:
            marks.wear(mark)
            host = ProcessInit(spec, control)
            host.boot()
        except (OSError, BootError, marks.MarkError) as error:
            log(f"boot failed: {error}")
            control.send(event="failed", message=str(error))
            return 1
        control.send(event="booted")
        log("booted")
        host.serve()
    except PlatformGoneError:
        log("powered off: the platform has ended")
    finally:
        _kill_all(mark)
    return 0
