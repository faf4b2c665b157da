"""The Valkey on the head: its configuration, and what `ray start` needs to keep Ray's control store in it.

Two users share it. Ray's tags need no password, and reach their own keys only; the control store has a password, since
whoever writes there controls the cluster. Must not import Ray or the Redis client.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import socket
from pathlib import Path

from yellowdog_ray.head.processes import Command
from yellowdog_ray.private_file import make_private_folder, write_private

USER = "ray"
"""The user of Ray's control store."""

_CONFIGURATION = """\
port {port}
bind 127.0.0.1
dir {folder}
save ""
appendonly yes
appendfsync no
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 16mb
user default on nopass resetkeys ~raydog:* resetchannels -@all +@hash +@connection
user {user} on #{digest} ~* +@all -@dangerous +info +keys
"""
"""The file is for processes that die, not for machines: what was written outlives the process without fsync."""


_PONG = b"+PONG"
_ANSWER_SECONDS = 0.2


class Store:
    """The directory of the server's files, made anew: what an earlier head left there is another cluster's."""

    def __init__(self, folder: Path, port: int, namespace: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        make_private_folder(folder / "data")
        self._folder = folder
        self._port = port
        password = secrets.token_hex(32)
        digest = hashlib.sha256(password.encode()).hexdigest()
        text = _CONFIGURATION.format(port=port, folder=folder / "data", user=USER, digest=digest)
        write_private(folder / "valkey.conf", text.encode())
        write_private(folder / "flags", f"--redis_password={password}\n".encode())
        values = {"port": port, "user": USER, "password": password, "namespace": namespace}
        write_private(self.access, json.dumps({**values, "flags": str(folder / "flags")}).encode())

    @property
    def access(self) -> Path:
        """The file that the hook of `ray start` reads."""
        return self._folder / "store.json"

    def command(self, server: str) -> Command:
        """How to start the server."""
        return Command([server, str(self._folder / "valkey.conf")], dict(os.environ), str(self._folder))

    def answers(self) -> bool:
        """Whether the server has read its file."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), _ANSWER_SECONDS) as server:
                server.sendall(b"PING\r\n")
                return server.recv(len(_PONG)) == _PONG
        except OSError:
            return False

    def set_aside(self) -> str:
        """Move files that the server cannot read out of its way. Returns what this means."""
        aside = self._folder / "damaged"
        shutil.rmtree(aside, ignore_errors=True)
        (self._folder / "data").rename(aside)
        make_private_folder(self._folder / "data")
        return (
            f"the tag server cannot read its files, and starts without them ({aside}). No node is lost; "
            "jobs, actors and placement groups are, if the control store dies before the cluster's end"
        )
