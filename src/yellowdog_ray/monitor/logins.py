"""SSH sessions on this machine, from the process list: who has a shell open on the head uses the cluster."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

_SERVERS = ("sshd", "sshd-session")
"""Names of OpenSSH's processes; since 9.8 a session has a program of its own."""

_SESSION = re.compile(rb"sshd(?:-session)?: [^\s\[\]]+$")
"""The title of a session's process after login: `sshd: USER@pts/0`, `sshd: USER@notty`, or `sshd: USER` for a
connection that only forwards ports. Before login, and in the listener, a word in brackets follows."""

_SSH_PORT = 22
_ESTABLISHED = "01"  # TCP_ESTABLISHED of Linux's net/tcp_states.h


def count_sessions(proc: Path = Path("/proc")) -> int:
    """How many SSH sessions are open on this machine.

    In a container that shares its host's network, no process of an SSH server is visible. There, each connection to the
    SSH port counts.
    """
    titles = list(_server_titles(proc))
    if titles:
        return sum(1 for title in titles if _SESSION.match(title))
    return sum(1 for table in ("net/tcp", "net/tcp6") for _ in _ssh_connections(proc / table))


def _server_titles(proc: Path) -> Iterator[bytes]:
    """The titles of the processes of an SSH server. A process may end meanwhile."""
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if (folder / "comm").read_text().rstrip("\n") in _SERVERS:
                yield (folder / "cmdline").read_bytes().rstrip(b"\0 ")


def _ssh_connections(table: Path) -> Iterator[str]:
    """The lines of a table of connections that are established to the SSH port of this machine."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        _, local, _, state, *_ = line.split()
        if state == _ESTABLISHED and int(local.rpartition(":")[2], 16) == _SSH_PORT:
            yield line
