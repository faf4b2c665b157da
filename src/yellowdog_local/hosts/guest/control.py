"""The pipes between a host's first process and the platform. Standard library only.

The platform writes to standard input: the specification, `wired` (eth0 exists), `go` (the instance counts as running).
The first process writes to standard output: {"event": "hello", "pid": ...}, {"event": "booted"}, or {"event": "failed",
"message": ...}. Standard input stays open while the platform runs. Its end, also by a SIGKILL, powers the host off.
"""

from __future__ import annotations

import json
import os

from yellowdog_local.hosts.guest.log import log


class PlatformGoneError(Exception):
    """The platform has ended: its pipe to this host is closed."""


class Control:
    """The two pipes between this process and the platform."""

    def __init__(self) -> None:
        self._rest = b""

    def send(self, **event: object) -> None:
        """Send an event. The end of the platform is detected by `read`, not here."""
        try:
            os.write(1, json.dumps(event).encode() + b"\n")
        except BrokenPipeError:
            log("an event was not sent: the platform has closed its pipe")

    def read(self) -> str:
        """Wait for the next line.

        Raises:
            PlatformGoneError: the platform has closed the pipe.
        """
        while b"\n" not in self._rest:
            chunk = os.read(0, 65536)
            if not chunk:
                raise PlatformGoneError
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()
