"""The listening sockets of a cluster's hosts, the documented ports, and the scanner on a host outside the cluster.

Nobody gets into a cluster without its token; with it, each of Ray's clients works. `Scan` proves both.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from yellowdog_ray.node.ray_versions import agents_require_tokens

SCANNER = Path(__file__).with_name("scanner.py")
SECURITY = Path(__file__).parents[2] / "docs/security.md"
SSH_SECONDS = 240
WIDTHS = ("loopback", "its address", "all addresses")
ROW = re.compile(r"\| (\d+)(?:-(\d+))? \| (all|head) \| (all addresses|its address|loopback) \|.*")

NO_RAY = {22: "sshd", 16667: "the tag server", 16668: "RayDog's token service"}
"""Doors that are not Ray's: tests/yellowdog_ray tests the last two."""

CLIENTS = {"worker", "store", "job", "agent"} | ({"client"} if agents_require_tokens(ray.__version__) else set())
"""The clients that work with the token. Ray Client of 2.52 fails with the locked grpcio, also without tokens."""


@dataclass(frozen=True)
class Socket:
    """A listening TCP socket: the host, the address that it is bound to, its port, and its program where known."""

    host: str
    bound_to: str
    port: int
    program: str

    @property
    def listens_on(self) -> str:
        """As docs/security.md says it."""
        if self.bound_to in ("0.0.0.0", "*", "::"):  # noqa: S104 - read, not bound
            return "all addresses"
        return "loopback" if self.bound_to in ("127.0.0.1", "::1") else "its address"


@dataclass(frozen=True)
class DocumentedPort:
    """A row of the table in docs/security.md."""

    first: int
    last: int
    node: str
    listens_on: str

    def covers(self, socket: Socket, head: str) -> bool:
        """Whether the row allows this socket, which may be bound more narrowly: Ray's versions differ in that."""
        return (
            self.first <= socket.port <= self.last
            and (self.node == "all" or socket.host == head)
            and WIDTHS.index(socket.listens_on) <= WIDTHS.index(self.listens_on)
        )


def documented_ports() -> list[DocumentedPort]:
    """All rows of the table."""
    matches = filter(None, map(ROW.fullmatch, SECURITY.read_text().splitlines()))
    return [
        DocumentedPort(int(first), int(last or first), node, listens_on)
        for first, last, node, listens_on in (match.groups() for match in matches)
    ]


class Logins:
    """SSH to the hosts of a platform, as the user of its agents."""

    def __init__(self, key: Path) -> None:
        self._key = key

    def run(self, host: str, command: str, stdin: str = "") -> str:
        """The output of a command, which must succeed."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
        flags = [flag for option in options for flag in ("-o", option)]
        done = subprocess.run(
            ["ssh", "-F", "none", "-i", str(self._key), *flags, f"yd-agent@{host}", command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SSH_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sockets(self, host: str) -> list[Socket]:
        """The listening TCP sockets of a host."""
        return [_socket(host, line) for line in self.run(host, "ss -Hltnp").splitlines()]

    def marks(self, hosts: Iterable[str]) -> set[str]:
        """The attempts of the scanner that ran code on any of these hosts."""
        listed = " ".join(self.run(host, "ls ~") for host in hosts)
        return set(re.findall(r"scanned-(\w+)", listed))

    def scan(self, at: str, **given: Any) -> list[dict[str, Any]]:
        """The findings of the scanner on one host; `scanner.py` describes its input and them."""
        self.run(at, "cat > ~/scanner.py", SCANNER.read_text())
        found: list[dict[str, Any]] = json.loads(self.run(at, "~/venv/bin/python ~/scanner.py", json.dumps(given)))
        return found


def _socket(host: str, line: str) -> Socket:
    fields = line.split()
    address, _, port = fields[3].rpartition(":")
    program = re.search(r'"([^"]+)"', line)
    bound_to = address.strip("[]").removeprefix("::ffff:").partition("%")[0]
    return Socket(host, bound_to, int(port), program[1] if program else "")


def check_documented(sockets: Iterable[Socket], head: str) -> None:
    """Compare the sockets with the table of docs/security.md, in both directions."""
    table = documented_ports()
    assert [each for each in sockets if not any(row.covers(each, head) for row in table)] == []
    unseen = [row.first for row in table if not any(row.covers(each, head) for each in sockets)]
    assert unseen == [23000], "no socket, though only Ray Client's processes come and go"


class Scan:
    """The scanner on a host outside the cluster."""

    def __init__(self, logins: Logins, outside: str, head: str, sockets: Iterable[Socket]) -> None:
        self._logins = logins
        self._outside = outside
        self._head = head
        self._doors = sorted({(each.host, each.port) for each in sockets})
        self._of_ray = {
            (each.host, each.port) for each in sockets if each.port not in NO_RAY and each.listens_on != "loopback"
        }

    def without_token(self) -> None:
        """No client, page or method of any service does anything, with no token and with a wrong one."""
        everything = ["worker", "store", "client", "job", "agent"]
        with ThreadPoolExecutor() as both:
            none = both.submit(self._run, self._outside, None, methods="all", clients=everything, seconds=15)
            wrong = both.submit(self._run, self._outside, "wrong", methods="harmless", clients=["store"], seconds=15)
        for found in (none.result(), wrong.result()):
            entered = [each for each in found if each["outcome"] == "in"]
            assert entered == [], entered
            assert self._doors_where(found, "refused", "metrics") == self._of_ray

    def with_token(self, token: str, on_loopback: set[str]) -> list[dict[str, Any]]:
        """Each client works, and something answers at each door. Clients of loopback doors run on the head."""
        inside, outside = sorted(CLIENTS & on_loopback), sorted(CLIENTS - on_loopback)
        options = {"methods": "harmless", "seconds": 60, "repeats_hanging": True}
        found = self._run(self._head, token, clients=inside, head="127.0.0.1", doors=[], **options)
        found += self._run(self._outside, token, clients=outside, **options)
        shut = [each for each in found if each["attempt"] in CLIENTS and each["outcome"] != "in"]
        assert shut == [], shut
        assert self._doors_where(found, "in", "metrics") >= self._of_ray
        return found

    def _run(self, at: str, token: str | None, **given: Any) -> list[dict[str, Any]]:
        began = time.monotonic()
        found = self._logins.scan(
            at, **{"head": self._head, "doors": self._doors, "token": token, "repeats_hanging": False, **given}
        )
        print(f"scan from {at}: {time.monotonic() - began:.1f} s")  # noqa: T201 - shown by pytest when a test fails
        return found

    @staticmethod
    def _doors_where(found: list[dict[str, Any]], *outcomes: str) -> set[tuple[str, int]]:
        return {(each["host"], each["port"]) for each in found if each["outcome"] in outcomes}
