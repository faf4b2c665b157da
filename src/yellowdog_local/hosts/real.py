"""What both kinds of real hosts share: the set of them, and the thread that one host lives in. Knows no namespaces.

A host lives in one thread of ours, which reads like the host's life, from `HostThread.run`: boot, running, gone. Its
first process speaks to that thread through two pipes, in the words that `init.py` tells.
"""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from yellowdog_local.hosts import leftovers
from yellowdog_local.hosts.base import HostAddress, HostListener, HostRequest, HostTraits
from yellowdog_local.hosts.network import NetworkError

LOGGER = logging.getLogger(__name__)
SERVICE_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
BOOT_PATIENCE_SECONDS = 60.0
CLOSE_PATIENCE_SECONDS = 60.0
END_PATIENCE_SECONDS = 5.0
DESTROYED = "destroyed"


class HostError(Exception):
    """A host could not be started, or is not there, or cannot do what is asked of it."""


class RealHosts(ABC):
    """Hosts on which tasks really run, in one data directory.

    Args:
        data_directory: everything that the hosts write lies in it; no two platforms may share one.
        public_key: who may log in to the hosts (the line of an OpenSSH public key).
        platform_url: where agents find the platform; may be set later, before the first host is made.
        with_agent: start the agent on each host (tests of hosts alone do without).
    """

    kind: str
    traits: HostTraits

    def __init__(
        self, data_directory: Path, public_key: str, platform_url: str = "", *, with_agent: bool = True
    ) -> None:
        self.platform_url = platform_url
        self.data_directory = data_directory.resolve()
        self.with_agent = with_agent
        self.public_key = public_key
        self._lock = threading.Lock()
        self._hosts: dict[str, HostThread] = {}
        self._closed = False
        # More at a time would only make each of them slower.
        self.boots = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))

    @abstractmethod
    def open(self) -> None:
        """Check the machine, clean up after a platform that was killed here, and make what all hosts need."""

    @property
    @abstractmethod
    def gateway(self) -> str:
        """The machine's address that hosts can reach: where the platform listens."""

    @property
    @abstractmethod
    def ssh_user(self) -> str:
        """Who logs in to a host."""

    @abstractmethod
    def cut_network(self, instance_id: str) -> None:
        """Pull the host's cable: it lives on, but nothing reaches it and it reaches nothing.

        Raises:
            HostError: there is no such host, or hosts of this kind have no cable.
        """

    @abstractmethod
    def restore_network(self, instance_id: str) -> None:
        """Put the host's cable back.

        Raises:
            HostError: there is no such host, or hosts of this kind have no cable.
        """

    @abstractmethod
    def _new_host(self, request: HostRequest, listener: HostListener) -> HostThread:
        """A host that is not started yet."""

    @abstractmethod
    def _close_network(self) -> bool:
        """Give back what `open` made for all hosts; False where there was nothing."""

    def create(self, request: HostRequest, listener: HostListener) -> None:
        """Begin to boot a host; the rest happens in its thread."""
        host = self._new_host(request, listener)
        with self._lock:
            if request.instance_id in self._hosts:
                raise HostError(f"there is a host for {request.instance_id} already")
            if self._closed:
                host.power_off()  # it is told gone like any other, instead of failing its caller
            self._hosts[request.instance_id] = host
            host.start()

    def destroy(self, instance_id: str) -> None:
        """Cut the power of a host. An unknown or ended host is not an error."""
        with self._lock:
            host = self._hosts.get(instance_id)
        if host is not None:
            host.power_off()

    def log_directory(self, instance_id: str) -> Path:
        """Where a host's logs are, while it lives and afterwards."""
        return self.data_directory / leftovers.LOGS / instance_id

    def close(self) -> None:
        """End every host and wait until nothing of them is left on the machine, save their logs."""
        with self._lock:
            self._closed = True
            hosts = list(self._hosts.values())
        for host in hosts:
            host.power_off()
        deadline = time.monotonic() + CLOSE_PATIENCE_SECONDS
        for host in hosts:
            host.join(max(0.0, deadline - time.monotonic()))
        if self._close_network():
            for left in leftovers.find(self.data_directory):
                LOGGER.error("left on the machine: %s", left)

    def forget(self, instance_id: str) -> None:
        """Called by a host's thread, as its last act but one."""
        with self._lock:
            self._hosts.pop(instance_id, None)

    def _host(self, instance_id: str) -> HostThread:
        with self._lock:
            if instance_id not in self._hosts:
                raise HostError(f"there is no running host for {instance_id}")
            return self._hosts[instance_id]

    def _host_key(self) -> str:
        """The hosts' SSH identity, made once: a host that gets an old one's address is still no stranger to ssh."""
        path = self.data_directory / "host_key"
        if not path.exists():
            make_key(path, "raydog-host")
        return path.read_text(encoding="utf-8")


def make_key(path: Path, comment: str) -> None:
    """Make an SSH key pair (`path` and `path`.pub) without a passphrase."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)


class HostThread(threading.Thread, ABC):
    """The life of one host."""

    def __init__(self, hosts: RealHosts, request: HostRequest, listener: HostListener) -> None:
        super().__init__(name=f"host-{request.instance_id}", daemon=True)
        self._owner = hosts
        self._request = request
        self._listener = listener
        self._requested = time.monotonic()
        self._disk = hosts.data_directory / leftovers.DISKS / request.instance_id
        self._process: subprocess.Popen[bytes] | None = None
        self._events = b""
        self._off = threading.Event()

    def run(self) -> None:
        """Boot, wait for the end, clean up, tell."""
        reason = "the host's thread failed; see the platform's log"
        try:
            with self._owner.boots:
                self._check_on()
                address = self._boot()
            self._wait_until_due()
            LOGGER.info("host %s runs at %s", self._request.instance_id, address.private_ip)
            self._listener.host_running(self._request.instance_id, address)
            self._send("go")
            self._next_event(None)  # the first process has nothing more to say: this waits for its end
        except (HostError, NetworkError, OSError, ValueError) as error:
            reason = DESTROYED if self._off.is_set() else str(error)
        finally:
            self._clean_up()
            self._owner.forget(self._request.instance_id)
            LOGGER.info("host %s is gone: %s", self._request.instance_id, reason)
            self._listener.host_gone(self._request.instance_id, reason)

    @abstractmethod
    def power_off(self) -> None:
        """End the host at once; its thread notices, cleans up and tells."""

    @abstractmethod
    def _boot(self) -> HostAddress:
        """Start the first process, and have it bring the host up.

        Raises:
            HostError: it does not come up.
        """

    @abstractmethod
    def _clean_up(self) -> None:
        """Leave nothing of the host on the machine but its logs."""

    def _check_on(self) -> None:
        """Go no further with a host that was destroyed meanwhile.

        Raises:
            HostError: it was.
        """
        if self._off.is_set():
            raise HostError(DESTROYED)

    def _start_first_process(self, command: list[str], logs: Path) -> subprocess.Popen[bytes]:
        with (logs / "init.log").open("ab") as log:
            process = self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=SERVICE_ENVIRONMENT,
                bufsize=0,
                start_new_session=True,  # a Ctrl-C meant for the platform is none of the host's business
            )
        return process

    def _end_first_process(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()  # a first process that we cannot signal yet ends by this
            try:
                self._process.wait(END_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:  # somebody stopped it (SIGSTOP)
                self._process.kill()
                self._process.wait()

    def _agent_config(self, address: str, paths: dict[str, str]) -> dict[str, str]:
        request = self._request
        return {
            "url": self._owner.platform_url,
            "token": request.agent_token,
            "instanceId": request.instance_id,
            "hostname": request.instance_id,
            "privateIpAddress": address,
            "publicIpAddress": address,
            "provider": request.provider,
            "region": request.region,
            "instanceType": request.instance_type,
            **paths,
        }

    def _wait_until_due(self) -> None:
        """An instance is not running before its time, even where the host is.

        Raises:
            HostError: it ended meanwhile.
        """
        left = self._requested + self._request.boot_seconds - time.monotonic()
        if left > 0 and self._readable(left):
            self._next_event(0)

    def _send(self, line: str) -> None:
        pipe = self._process.stdin if self._process else None
        if pipe is None:
            raise HostError("its first process was not started")
        pipe.write(line.encode() + b"\n")

    def _readable(self, timeout: float | None) -> bool:
        pipe = self._process.stdout if self._process else None
        if pipe is None:
            raise HostError("its first process was not started")
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def _next_event(self, timeout: float | None) -> dict[str, Any]:
        pipe = self._process.stdout if self._process else None
        while b"\n" not in self._events:
            if pipe is None or not self._readable(timeout):
                raise HostError(f"it did not boot within {timeout} seconds")
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                raise HostError("its first process ended unexpectedly")
            self._events += chunk
        line, _, self._events = self._events.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "failed":
            raise HostError(f"it did not boot: {event['message']}")
        return event
