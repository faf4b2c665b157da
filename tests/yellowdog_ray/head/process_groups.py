"""Processes of tests that lead a process group of their own."""

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any


def end_group(leader: subprocess.Popen[Any]) -> None:
    """Kill a process with its group, and close its input."""
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait(10)
    assert leader.stdin is not None
    leader.stdin.close()
