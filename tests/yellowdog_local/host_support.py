"""Shared by tests of real hosts: a recording listener, and logins by SSH."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yellowdog_local.hosts import leftovers
from yellowdog_local.hosts.base import HostAddress, HostRequest
from yellowdog_local.hosts.namespace import NamespaceHosts
from yellowdog_local.hosts.network import Bridge
from yellowdog_local.hosts.process import ProcessHosts
from yellowdog_local.hosts.process_home import temporary_root
from yellowdog_local.hosts.real import RealHosts, make_key

PATIENCE_SECONDS = 20.0
SSH_SECONDS = 60.0  # `ray start` on a busy machine
KINDS: dict[str, type[RealHosts]] = {"namespace": NamespaceHosts, "process": ProcessHosts}


class Recorder:
    """A listener that records events and their times."""

    def __init__(self) -> None:
        self.running: dict[str, HostAddress] = {}
        self.running_at: dict[str, float] = {}
        self.gone: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def host_running(self, instance_id: str, address: HostAddress) -> None:
        with self._changed:
            self.running[instance_id] = address
            self.running_at[instance_id] = time.monotonic()
            self._changed.notify_all()

    def host_gone(self, instance_id: str, reason: str) -> None:
        with self._changed:
            self.gone.append((instance_id, reason))
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], Any]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_SECONDS), f"{self.running} {self.gone}"

    def wait_running(self, *instance_ids: str) -> list[HostAddress]:
        self.wait_for(lambda: self.gone or self.running.keys() >= set(instance_ids))
        assert not self.gone, self.gone
        return [self.running[name] for name in instance_ids]

    def wait_gone(self, instance_id: str) -> str:
        self.wait_for(lambda: instance_id in dict(self.gone))
        return dict(self.gone)[instance_id]


class Lab:
    """Hosts of one kind in a directory of their own, with a key for logins."""

    def __init__(
        self, directory: Path, kind: str = "namespace", *, platform_url: str = "", with_agent: bool = False
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.key = directory / "id_ed25519"
        if not self.key.exists():
            make_key(self.key, "test")
        public_key = (directory / "id_ed25519.pub").read_text()
        self.data = directory / "data"
        self.recorder = Recorder()
        self.hosts = KINDS[kind](self.data, public_key, platform_url, with_agent=with_agent)

    @property
    def bridge(self) -> Bridge:
        assert isinstance(self.hosts, NamespaceHosts)
        return self.hosts.bridge

    def shared(self) -> list[str]:
        """The findings of `leftovers` while hosts are open and none exists."""
        if isinstance(self.hosts, NamespaceHosts):
            return [f"bridge {self.bridge.name}"]
        return [f"directory {temporary_root(self.data)}"]

    def create(self, name: str, user_data: str | None = None, boot_seconds: float = 0.0) -> None:
        request = HostRequest(
            instance_id=name,
            agent_token="token-1",
            user_data=user_data,
            instance_type="sim-instance",
            provider="AWS",
            region="here",
            boot_seconds=boot_seconds,
        )
        self.hosts.create(request, self.recorder)

    def ssh(
        self, name: str, command: str, *, user: str = "", terminal: bool = False
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.ssh_command(name, command, user=user, terminal=terminal),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SSH_SECONDS,
            check=False,
        )

    def ssh_command(self, name: str, command: str, *, user: str = "", terminal: bool = False) -> list[str]:
        login = f"{user or self.hosts.ssh_user}@{self.recorder.running[name].public_ip}"
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        options += ["BatchMode=yes", "ConnectTimeout=2", "IdentitiesOnly=yes"]
        flags = [flag for option in options for flag in ("-o", option)]
        return ["ssh", "-F", "none", "-i", str(self.key), *flags, *(["-tt"] if terminal else []), login, command]

    def log(self, name: str, which: str) -> str:
        path = self.hosts.log_directory(name) / which
        return path.read_text() if path.exists() else ""

    def first_process(self, name: str) -> int:
        """The number, on the machine, of a host's init (its parent `unshare` names the disk as well)."""
        disk = self.data / "disks" / name
        for number in leftovers.processes(self.data):
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            if str(disk).encode() in words and words[0] != b"unshare":
                return number
        raise AssertionError(f"no first process of {name}")


@contextmanager
def lab(directory: Path, kind: str = "namespace", **options: Any) -> Iterator[Lab]:
    """Open hosts, and close them again."""
    made = Lab(directory, kind, **options)
    made.hosts.open()
    try:
        yield made
    finally:
        made.hosts.close()


def eventually(condition: Callable[[], Any], timeout: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)


def output_of(lab: Lab, name: str, command: str) -> str:
    """The output of a command on a host; it must succeed."""
    done = lab.ssh(name, command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def sleepers(prefix: str) -> list[int]:
    """The processes on the machine that sleep for this time."""
    mark = f"sleep\0{prefix}".encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if _is(path, mark)]


def _is(path: Path, mark: bytes) -> bool:
    try:
        return path.read_bytes().startswith(mark)
    except OSError:
        return False
