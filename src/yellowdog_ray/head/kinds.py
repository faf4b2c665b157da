"""The kinds of process on a head, and how a command line shows them. Must not import Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Kind:
    """A kind of process.

    Attributes:
        name: the name in messages.
        program: the file name of one of its first arguments, or a module after `-m`.
        essential: whether the cluster is useless without it, so that a crash loop ends the head's task.
        restarts: whether it can be started again alone.
    """

    name: str
    program: str
    essential: bool
    restarts: bool = True

    @property
    def memory_badness(self) -> int:
        """The addition to the inherited `oom_score_adj`. Short of memory, the kernel ends the highest scores first.

        A driver in a login shell gets 500 (`remote/head_files.py`), and Ray gives its workers 1,000.
        """
        if not self.restarts:
            return 0
        return ESSENTIAL_BADNESS if self.essential else SPARE_BADNESS


ESSENTIAL_BADNESS, SPARE_BADNESS = 100, 300

RAYLET = Kind("raylet", "raylet", essential=True, restarts=False)
CONTROL_STORE = Kind("control store", "gcs_server", essential=True)
AUTOSCALER = Kind("autoscaler", "monitor.py", essential=True)
DASHBOARD = Kind("dashboard", "dashboard.py", essential=False)
LOG_MONITOR = Kind("log monitor", "log_monitor.py", essential=False)
CLIENT_SERVER = Kind("Ray Client server", "ray.util.client.server", essential=False)
TAG_SERVER = Kind("tag server", "valkey-server", essential=True)

_KINDS = (RAYLET, CONTROL_STORE, AUTOSCALER, DASHBOARD, LOG_MONITOR, CLIENT_SERVER)

ESSENTIAL = tuple(kind for kind in _KINDS if kind.essential)
"""Those of Ray's kinds."""

_FIRST_ARGUMENTS = 5
"""An interpreter with its options, a set-up script and the program: later arguments are the program's own."""


def kind_of(argv: Sequence[str]) -> Kind | None:
    """The kind of one of Ray's processes; None for any other, such as a server for one Ray Client connection."""
    if "--mode=specific-server" in argv:
        return None
    names = {PurePosixPath(argument).name for argument in argv[:_FIRST_ARGUMENTS]}
    return next((kind for kind in _KINDS if kind.program in names), None)
