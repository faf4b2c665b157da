"""A tag server for simulated heads, with counts of its commands and bytes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

_START_SECONDS = 10.0


@dataclass(frozen=True)
class Traffic:
    """Traffic of a tag server since the last reading."""

    commands: int
    bytes: int


class TagServer:
    """A running tag server."""

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        self._client = redis.Redis(host, port, socket_timeout=_START_SECONDS, socket_connect_timeout=_START_SECONDS)
        self._own = Traffic(0, 0)
        self._last = self._total()
        self._own = self.traffic()  # a reading causes traffic itself

    def traffic(self) -> Traffic:
        """Traffic since the last reading, without that of readings."""
        now, last = self._total(), self._last
        self._last = now
        return Traffic(max(0, now.commands - last.commands), max(0, now.bytes - last.bytes - self._own.bytes))

    def _total(self) -> Traffic:
        stats = self._client.info("commandstats")
        # Counts include the commands of new connections (HELLO, CLIENT SETINFO).
        commands = sum(of["calls"] for name, of in stats.items() if name != "cmdstat_info")
        traffic = self._client.info("stats")
        return Traffic(commands, traffic["total_net_input_bytes"] + traffic["total_net_output_bytes"])


@contextmanager
def tag_server() -> Iterator[TagServer]:
    """A Valkey or Redis server on a free port of this machine."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError(
            "neither valkey-server nor redis-server is installed: run scripts/bench, which installs one"
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(port):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise TimeoutError(f"{program} did not start")
                time.sleep(0.02)
            yield TagServer("127.0.0.1", port)
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        return bool(redis.Redis(port=port).ping())
    except redis.ConnectionError:
        return False
