"""Namespace hosts: each instance is a small Linux machine on this one. Imports no pools and no tasks.

A host is a process tree below `guest/init.py` in fresh namespaces. Its disk is an overlay over the machine's root, and
a cable connects it to the platform's bridge.

A host ends with the platform, however that ends. Namespaces and mounts belong to the host's processes, and its first
process reads a pipe of the platform's. After a SIGKILL only the bridge and the data directory are left; `leftovers.py`
finds them.

Hosts isolate programs from each other by accident, not attack: user data runs as the machine's own root.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from yellowdog_local.hosts import leftovers, prerequisites, programs, rootfs
from yellowdog_local.hosts.base import HostAddress, HostListener, HostRequest, HostTraits
from yellowdog_local.hosts.network import PREFIX_LENGTH, Bridge, Cable
from yellowdog_local.hosts.real import (
    BOOT_TIMEOUT_SECONDS,
    SERVICE_ENVIRONMENT,
    HostError,
    HostThread,
    RealHosts,
)


class NamespaceHosts(RealHosts):
    """Creates namespace hosts; see the module's docstring."""

    kind = "namespace"
    traits = HostTraits(runs_tasks=True, own_network=True, own_processes=True, own_files=True)
    ssh_user = rootfs.USER

    def __init__(
        self, data_directory: Path, public_key: str, platform_url: str = "", *, with_agent: bool = True
    ) -> None:
        super().__init__(data_directory, public_key, platform_url, with_agent=with_agent)
        self._bridge: Bridge | None = None
        self._image: rootfs.Image | None = None

    def open(self) -> None:
        """Check the machine, clean up after a killed platform, and create the bridge and the image.

        Raises:
            MissingRequirementError: this machine or user cannot run namespace hosts.
            ImageError: the Python environment cannot be used on hosts.
            NetworkError: the bridge could not be created.
        """
        prerequisites.check_namespace_hosts()
        self.data_directory.mkdir(parents=True, exist_ok=True)
        leftovers.clean(self.data_directory)
        leftovers.rotate_logs(self.data_directory)
        self._image = rootfs.prepare(self.data_directory, self.public_key, self._host_key())
        self._bridge = Bridge.open(str(self.data_directory))

    @property
    def gateway(self) -> str:
        """The machine's address on the bridge, which hosts can reach."""
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
        """The files of the hosts' disks at boot.

        Raises:
            HostError: `open` was not called.
        """
        if self._image is None:
            raise HostError("the hosts' image does not exist before open()")
        return self._image

    def cut_network(self, instance_id: str) -> None:
        """Cut the host's network: it runs on, without any connection."""
        self._cabled_host(instance_id).set_carrier(connected=False)

    def restore_network(self, instance_id: str) -> None:
        """Restore the host's network."""
        self._cabled_host(instance_id).set_carrier(connected=True)

    def _cabled_host(self, instance_id: str) -> _NamespaceHost:
        host = self._host(instance_id)
        if not isinstance(host, _NamespaceHost):
            raise TypeError(f"{host} was not made here")
        return host

    def _new_host(self, request: HostRequest, listener: HostListener) -> HostThread:
        return _NamespaceHost(self, request, listener)

    def _close_network(self) -> bool:
        if self._bridge is None:
            return False
        self._bridge.close()
        self._bridge = None
        return True


class _NamespaceHost(HostThread):
    """Controls one host from boot to end."""

    def __init__(self, hosts: NamespaceHosts, request: HostRequest, listener: HostListener) -> None:
        super().__init__(hosts, request, listener)
        self._hosts = hosts
        self._bridge: Bridge | None = None
        self._cable: Cable | None = None
        self._init: int | None = None  # a pidfd: a process number may be reused before it is used here
        self._power = threading.Lock()

    def power_off(self) -> None:
        """Kill the host's first process, which ends all others."""
        with self._power:
            self._off.set()
            if self._init is not None:
                _kill(self._init)

    def set_carrier(self, *, connected: bool) -> None:
        """Connect or disconnect the cable.

        Raises:
            HostError: the host has no cable yet.
        """
        if self._bridge is None or self._cable is None:
            raise HostError(f"host {self._request.instance_id} is not on the network yet")
        self._bridge.set_carrier(self._cable, connected=connected)

    def _boot(self) -> HostAddress:
        bridge = self._bridge = self._hosts.bridge
        cable = self._cable = bridge.reserve()
        logs = self._prepare_directories()
        command = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"]
        command += ["--propagation", "private", "--", *programs.command("init", str(self._disk))]
        process = self._start_first_process(command, logs)
        self._send(json.dumps(self._specification(cable, logs)))
        hello = self._next_event(BOOT_TIMEOUT_SECONDS)
        with self._power:
            self._init = os.pidfd_open(int(hello["pid"]))
            self._check_on()
        bridge.plug_in(cable, process.pid)
        self._send("wired")
        self._next_event(BOOT_TIMEOUT_SECONDS)
        return HostAddress(self._request.instance_id, cable.address, cable.address)

    def _prepare_directories(self) -> Path:
        logs = self._hosts.log_directory(self._request.instance_id)
        tasks = logs / "tasks"
        tasks.mkdir(parents=True, exist_ok=True)
        os.chown(tasks, self._hosts.image.uid, self._hosts.image.gid, follow_symlinks=False)
        logs.chmod(0o755)  # under a stricter umask, too, yd-agent must reach its own directory
        self._disk.mkdir(parents=True)
        return logs

    def _specification(self, cable: Cable, logs: Path) -> dict[str, Any]:
        image = self._hosts.image
        hostname = self._request.instance_id
        python = f"{rootfs.VENV}/bin/{Path(sys.executable).name}"
        command = programs.command("agent", rootfs.AGENT_CONFIG, python=python, root=Path(rootfs.AGENT_FILES))
        paths = {"home": rootfs.HOME, "data": rootfs.DATA, "taskLogs": rootfs.TASK_LOGS}
        agent_config = json.dumps(self._agent_config(cable.address, paths))
        own = rootfs.own_files(image, hostname, cable.address, agent_config)
        return {
            "hostname": hostname,
            "address": cable.address,
            "prefix_length": PREFIX_LENGTH,
            "disk": str(self._disk),
            "log_directory": str(logs),
            "overlays": image.overlays,
            "image": [*image.entries, *own],
            "user_data": self._request.user_data,
            "environment": SERVICE_ENVIRONMENT,
            "agent": {
                "command": command if self._hosts.with_agent else [],
                "uid": image.uid,
                "gid": image.gid,
                "home": rootfs.HOME,
                "environment": rootfs.service_environment(),
                "paths": {"YD_AGENT_HOME": rootfs.HOME, "YD_AGENT_DATA": rootfs.DATA},
            },
        }

    def _clean_up(self) -> None:
        self.power_off()
        self._end_first_process()
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
        return  # it has ended
