"""The base of namespace and process hosts: the set of hosts, and the thread of each. Imports nothing of `namespace`.

`HostThread.run` controls a host from boot to end. It communicates with the host's first process through two pipes; the
protocol is in `guest/control.py`.
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
from typing import IO, Any

from yellowdog_local.hosts import leftovers
from yellowdog_local.hosts.base import HostAddress, HostListener, HostRequest, HostTraits
from yellowdog_local.hosts.network import NetworkError

LOGGER = logging.getLogger(__name__)
SERVICE_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
BOOT_TIMEOUT_SECONDS = 60.0
CLOSE_TIMEOUT_SECONDS = 60.0
END_TIMEOUT_SECONDS = 5.0
DESTROYED = "destroyed"


class HostError(Exception):
    """A host cannot be started, does not exist, or does not support the operation."""


class RealHosts(ABC):
    """Hosts on which tasks really run, in one data directory.

    Args:
        data_directory: the directory for everything that the hosts write; each platform needs its own.
        public_key: the line of the OpenSSH public key that hosts accept.
        platform_url: the platform's URL for agents; may be set later, before the first host is created.
        with_agent: whether to start the agent on each host (not in tests of hosts alone).
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
        # More concurrent boots would only make each of them slower.
        self.boots = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))

    @abstractmethod
    def open(self) -> None:
        """Check the machine, clean up after a killed platform, and create what all hosts share."""

    @property
    @abstractmethod
    def gateway(self) -> str:
        """The machine's address for hosts, on which the platform listens."""

    @property
    @abstractmethod
    def ssh_user(self) -> str:
        """The user of SSH logins."""

    @abstractmethod
    def cut_network(self, instance_id: str) -> None:
        """Cut the host's network: it runs on, without any connection.

        Raises:
            HostError: there is no such host, or hosts of this kind have no network of their own.
        """

    @abstractmethod
    def restore_network(self, instance_id: str) -> None:
        """Restore the host's network.

        Raises:
            HostError: there is no such host, or hosts of this kind have no network of their own.
        """

    @abstractmethod
    def _new_host(self, request: HostRequest, listener: HostListener) -> HostThread:
        """Create a host without starting it."""

    @abstractmethod
    def _close_network(self) -> bool:
        """Remove what `open` has created for all hosts; False if there was nothing."""

    def create(self, request: HostRequest, listener: HostListener) -> None:
        """Boot a host, in its thread."""
        host = self._new_host(request, listener)
        with self._lock:
            if request.instance_id in self._hosts:
                raise HostError(f"there is a host for {request.instance_id} already")
            if self._closed:
                host.power_off()  # the host is reported as gone, and `create` raises nothing
            self._hosts[request.instance_id] = host
            host.start()

    def destroy(self, instance_id: str) -> None:
        """Power a host off. An unknown or ended host is not an error."""
        with self._lock:
            host = self._hosts.get(instance_id)
        if host is not None:
            host.power_off()

    def log_directory(self, instance_id: str) -> Path:
        """The directory of a host's logs, also after its end."""
        return self.data_directory / leftovers.LOGS / instance_id

    def close(self) -> None:
        """Destroy all hosts and wait until nothing but their logs is left on the machine."""
        with self._lock:
            self._closed = True
            hosts = list(self._hosts.values())
        for host in hosts:
            host.power_off()
        deadline = time.monotonic() + CLOSE_TIMEOUT_SECONDS
        for host in hosts:
            host.join(max(0.0, deadline - time.monotonic()))
        if self._close_network():
            for left in leftovers.find(self.data_directory):
                LOGGER.error("left on the machine: %s", left)

    def remove(self, instance_id: str) -> None:
        """Remove a host from the set; called by its thread at its end."""
        with self._lock:
            self._hosts.pop(instance_id, None)

    def _host(self, instance_id: str) -> HostThread:
        with self._lock:
            if instance_id not in self._hosts:
                raise HostError(f"there is no running host for {instance_id}")
            return self._hosts[instance_id]

    def _host_key(self) -> str:
        """The SSH host key of all hosts, created once: a reused address keeps its key for SSH clients."""
        path = self.data_directory / "host_key"
        if not path.exists():
            make_key(path, "raydog-host")
        return path.read_text(encoding="utf-8")


def make_key(path: Path, comment: str) -> None:
    """Create an SSH key pair (`path` and `path`.pub) without a passphrase."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)


class HostThread(threading.Thread, ABC):
    """Controls one host from boot to end."""

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
        """Boot the host, wait for its end, clean up, and report."""
        reason = "the host's thread failed; see the platform's log"
        try:
            with self._owner.boots:
                self._check_on()
                address = self._boot()
            self._wait_until_due()
            LOGGER.info("host %s is running at %s", self._request.instance_id, address.private_ip)
            self._listener.host_running(self._request.instance_id, address)
            self._send("go")
            self._next_event(None)  # no more events follow: this waits for the end of the first process
        except (HostError, NetworkError, OSError, ValueError) as error:
            reason = DESTROYED if self._off.is_set() else str(error)
        finally:
            self._clean_up()
            self._owner.remove(self._request.instance_id)
            LOGGER.info("host %s is gone: %s", self._request.instance_id, reason)
            self._listener.host_gone(self._request.instance_id, reason)

    @abstractmethod
    def power_off(self) -> None:
        """End the host at once; its thread then cleans up and reports."""

    @abstractmethod
    def _boot(self) -> HostAddress:
        """Start the first process and wait until the host has booted.

        Raises:
            HostError: the host does not come up.
        """

    @abstractmethod
    def _clean_up(self) -> None:
        """Remove everything of the host from the machine but its logs."""

    def _check_on(self) -> None:
        """Check that the host was not destroyed meanwhile.

        Raises:
            HostError: it was destroyed.
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
                start_new_session=True,  # a Ctrl-C for the platform must not reach the host
            )
        return process

    def _end_first_process(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()  # ends a first process that cannot be signalled yet
            try:
                self._process.wait(END_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:  # it was stopped (SIGSTOP)
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
        """Wait for the instance's boot time, if the host has booted earlier.

        Raises:
            HostError: the host has ended meanwhile.
        """
        left = self._requested + self._request.boot_seconds - time.monotonic()
        if left > 0 and self._readable(left):
            self._next_event(0)

    def _send(self, line: str) -> None:
        pipe = self._process.stdin if self._process else None
        if pipe is None:
            raise HostError("the first process was not started")
        pipe.write(line.encode() + b"\n")

    def _output(self) -> IO[bytes]:
        pipe = self._process.stdout if self._process else None
        if pipe is None:
            raise HostError("the first process was not started")
        return pipe

    def _readable(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._output(), select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def _next_event(self, timeout: float | None) -> dict[str, Any]:
        while b"\n" not in self._events:
            if not self._readable(timeout):
                raise HostError(f"the host did not boot within {timeout} seconds")
            chunk = os.read(self._output().fileno(), 65536)
            if not chunk:
                raise HostError("the first process ended unexpectedly")
            self._events += chunk
        line, _, self._events = self._events.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "failed":
            raise HostError(f"the host did not boot: {event['message']}")
        return event
