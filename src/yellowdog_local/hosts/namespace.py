"""Namespace hosts: each instance a small Linux machine of its own, on this one. Knows nothing of pools or tasks.

A host is one process tree below an `init.py` in fresh namespaces, a disk that is an overlay over the machine's root,
and a cable to the platform's bridge. It lives in one thread of ours, which reads like the host's life, from
`_HostThread.run`: boot, running, gone.

Nothing outlives the platform, however that ends: namespaces and mounts are private to the host's processes, and its
first process holds the end of a pipe whose other end is ours. Only the bridge and the data directory stay after a
SIGKILL, and `leftovers.py` knows how to find them.

A host is no prison: user data runs as the machine's own root, and whoever can read the machine's files as root can
read them there. It keeps honest programs apart, not hostile ones.
"""

from __future__ import annotations

import json
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from yellowdog_local.hosts import init, leftovers, requirements, rootfs
from yellowdog_local.hosts.base import HostAddress, HostListener, HostRequest
from yellowdog_local.hosts.network import PREFIX_LENGTH, Bridge, Cable, NetworkError

LOGGER = logging.getLogger(__name__)
INIT_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
BOOT_PATIENCE_SECONDS = 60.0
CLOSE_PATIENCE_SECONDS = 60.0
DESTROYED = "destroyed"


class HostError(Exception):
    """A host could not be started, or is not there."""


class NamespaceHosts:
    """Makes namespace hosts; see the module's first lines.

    Args:
        data_directory: everything that the hosts write lies in it; no two platforms may share one.
        public_key: who may log in to the hosts as yd-agent (the line of an OpenSSH public key).
        platform_url: where agents find the platform; may be set later, before the first host is made.
        with_agent: start the agent on each host (tests of hosts alone do without).
    """

    kind = "namespace"

    def __init__(
        self, data_directory: Path, public_key: str, platform_url: str = "", *, with_agent: bool = True
    ) -> None:
        self.platform_url = platform_url
        self.data_directory = data_directory.resolve()
        self.with_agent = with_agent
        self._public_key = public_key
        self._bridge: Bridge | None = None
        self._image: rootfs.Image | None = None
        self._lock = threading.Lock()
        self._hosts: dict[str, _HostThread] = {}
        self._closed = False
        # More at a time would only make each of them slower.
        self.boots = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))

    def open(self) -> None:
        """Check the machine, clean up after a platform that was killed here, and make the bridge and the image.

        Raises:
            MissingRequirementError: this machine or user cannot run namespace hosts.
            ImageError: the Python environment cannot be used on hosts.
            NetworkError: the bridge could not be made.
        """
        requirements.check_hosts()
        self.data_directory.mkdir(parents=True, exist_ok=True)
        leftovers.clean(self.data_directory)
        leftovers.set_logs_aside(self.data_directory)
        self._image = rootfs.prepare(self.data_directory, self._public_key, self._host_key())
        self._bridge = Bridge.open(str(self.data_directory))

    @property
    def gateway(self) -> str:
        """The machine's address on the bridge: the one that hosts can reach."""
        return self.bridge.gateway

    @property
    def bridge(self) -> Bridge:
        """The network of the hosts.

        Raises:
            HostError: `open` was not called.
        """
        if self._bridge is None:
            raise HostError("the hosts' network does not exist before open()")
        return self._bridge

    @property
    def image(self) -> rootfs.Image:
        """What the hosts' disks begin with.

        Raises:
            HostError: `open` was not called.
        """
        if self._image is None:
            raise HostError("the hosts' image does not exist before open()")
        return self._image

    def create(self, request: HostRequest, listener: HostListener) -> None:
        """Begin to boot a host; the rest happens in its thread."""
        host = _HostThread(self, request, listener)
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

    def cut_network(self, instance_id: str) -> None:
        """Pull the host's cable: it lives on, but nothing reaches it and it reaches nothing."""
        self._host(instance_id).set_carrier(connected=False)

    def restore_network(self, instance_id: str) -> None:
        """Put the host's cable back."""
        self._host(instance_id).set_carrier(connected=True)

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
        if self._bridge is not None:
            self._bridge.close()
            self._bridge = None
            for left in leftovers.find(self.data_directory):
                LOGGER.error("left on the machine: %s", left)

    def forget(self, instance_id: str) -> None:
        """Called by a host's thread, as its last act but one."""
        with self._lock:
            self._hosts.pop(instance_id, None)

    def _host(self, instance_id: str) -> _HostThread:
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


class _HostThread(threading.Thread):
    """The life of one host."""

    def __init__(self, hosts: NamespaceHosts, request: HostRequest, listener: HostListener) -> None:
        super().__init__(name=f"host-{request.instance_id}", daemon=True)
        self._hosts = hosts
        self._request = request
        self._listener = listener
        self._requested = time.monotonic()
        self._disk = hosts.data_directory / leftovers.DISKS / request.instance_id
        self._bridge: Bridge | None = None
        self._cable: Cable | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._init: int | None = None  # a pidfd: a number may be somebody else's by the time we use it
        self._events = b""
        self._off = threading.Event()
        self._power = threading.Lock()

    def run(self) -> None:
        """Boot, wait for the end, clean up, tell."""
        reason = "the host's thread failed; see the platform's log"
        try:
            with self._hosts.boots:
                address = self._boot()
            self._wait_until_due()
            LOGGER.info("host %s runs at %s", self._request.instance_id, address.private_ip)
            self._listener.host_running(self._request.instance_id, address)
            self._send("go")
            self._next_event(None)  # init has nothing more to say: this waits for its end
        except (HostError, NetworkError, OSError, ValueError) as error:
            reason = DESTROYED if self._off.is_set() else str(error)
        finally:
            self._clean_up()
            self._hosts.forget(self._request.instance_id)
            LOGGER.info("host %s is gone: %s", self._request.instance_id, reason)
            self._listener.host_gone(self._request.instance_id, reason)

    def power_off(self) -> None:
        """Kill the host's first process, and so all of them."""
        with self._power:
            self._off.set()
            if self._init is not None:
                _kill(self._init)

    def set_carrier(self, *, connected: bool) -> None:
        """Connect or disconnect the cable.

        Raises:
            HostError: the host has none yet.
        """
        if self._bridge is None or self._cable is None:
            raise HostError(f"host {self._request.instance_id} is not on the network yet")
        self._bridge.set_carrier(self._cable, connected=connected)

    def _boot(self) -> HostAddress:
        if self._off.is_set():
            raise HostError(DESTROYED)
        bridge = self._bridge = self._hosts.bridge
        cable = self._cable = bridge.reserve()
        logs = self._prepare_directories()
        command = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"]
        command += ["--propagation", "private", "--", sys.executable, "-I", "-S", init.__file__, str(self._disk)]
        with (logs / "init.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=INIT_ENVIRONMENT,
                bufsize=0,
                start_new_session=True,  # a Ctrl-C meant for the platform is none of the host's business
            )
        self._send(json.dumps(self._specification(cable, logs)))
        hello = self._next_event(BOOT_PATIENCE_SECONDS)
        with self._power:
            self._init = os.pidfd_open(int(hello["pid"]))
            if self._off.is_set():
                raise HostError(DESTROYED)
        bridge.plug_in(cable, self._process.pid)
        self._send("wired")
        self._next_event(BOOT_PATIENCE_SECONDS)
        return HostAddress(self._request.instance_id, cable.address, cable.address)

    def _prepare_directories(self) -> Path:
        logs = self._hosts.log_directory(self._request.instance_id)
        tasks = logs / "tasks"
        tasks.mkdir(parents=True, exist_ok=True)
        os.chown(tasks, self._hosts.image.uid, self._hosts.image.gid)
        logs.chmod(0o755)  # the platform may run with a stricter umask, and yd-agent must reach its own
        self._disk.mkdir(parents=True)
        return logs

    def _specification(self, cable: Cable, logs: Path) -> dict[str, Any]:
        image = self._hosts.image
        hostname = self._request.instance_id
        python = f"{rootfs.VENV}/bin/{Path(sys.executable).name}"
        command = [python, "-I", "-S", f"{rootfs.HOME}/agent.py", rootfs.AGENT_CONFIG]
        own = rootfs.own_files(image, hostname, cable.address, json.dumps(self._agent_config(cable)))
        return {
            "hostname": hostname,
            "address": cable.address,
            "prefix_length": PREFIX_LENGTH,
            "disk": str(self._disk),
            "log_directory": str(logs),
            "overlays": image.overlays,
            "image": [*image.entries, *own],
            "user_data": self._request.user_data,
            "environment": INIT_ENVIRONMENT,
            "agent": {
                "command": command if self._hosts.with_agent else [],
                "uid": image.uid,
                "gid": image.gid,
                "home": rootfs.HOME,
                "environment": rootfs.service_environment(),
                "paths": {"YD_AGENT_HOME": rootfs.HOME, "YD_AGENT_DATA": rootfs.DATA},
            },
        }

    def _agent_config(self, cable: Cable) -> dict[str, str]:
        request = self._request
        return {
            "url": self._hosts.platform_url,
            "token": request.agent_token,
            "instanceId": request.instance_id,
            "hostname": request.instance_id,
            "privateIpAddress": cable.address,
            "publicIpAddress": cable.address,
            "provider": request.provider,
            "region": request.region,
            "instanceType": request.instance_type,
            "home": rootfs.HOME,
            "data": rootfs.DATA,
            "taskLogs": rootfs.TASK_LOGS,
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

    def _clean_up(self) -> None:
        self.power_off()
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()  # an init that we do not know by number yet ends by this
            self._process.wait()
        with self._power:
            if self._init is not None:
                os.close(self._init)
                self._init = None
        if self._bridge is not None and self._cable is not None:
            self._bridge.release(self._cable)
        shutil.rmtree(self._disk, ignore_errors=True)


def _kill(process: int) -> None:
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        return  # ended by itself
