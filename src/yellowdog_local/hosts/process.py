"""Process hosts: each instance is a set of processes with an address of its own. Imports no pools and no tasks.

They need only the privileges of an ordinary container. A host is a process tree below `guest/process_init.py`, with its
own loopback address, home, temporary directory, Python environment and SSH server. All its processes have the host's
mark (`guest/marks.py`). By it they are killed: with the host, with the platform, or by `leftovers.py` afterwards.

All else is shared with the machine: files, process numbers, and ports, unless a program binds to the host's address.
So a machine's process hosts support one Ray cluster at a time. Processes and logins are those of the platform's user.
"""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

from yellowdog_local.hosts import leftovers, prerequisites, process_home, programs
from yellowdog_local.hosts.base import HostAddress, HostListener, HostRequest, HostTraits
from yellowdog_local.hosts.guest import marks
from yellowdog_local.hosts.loopback import Lease, Loopback, LoopbackError
from yellowdog_local.hosts.process_home import ProcessHome
from yellowdog_local.hosts.real import BOOT_TIMEOUT_SECONDS, HostError, HostThread, RealHosts

_NO_CABLE = "process hosts share the machine's network, which cannot be cut: use namespace hosts"


class ProcessHosts(RealHosts):
    """Creates process hosts; see the module's docstring."""

    kind = "process"
    traits = HostTraits(runs_tasks=True, own_network=False, own_processes=False, own_files=False)

    def __init__(
        self, data_directory: Path, public_key: str, platform_url: str = "", *, with_agent: bool = True
    ) -> None:
        super().__init__(data_directory, public_key, platform_url, with_agent=with_agent)
        self._loopback: Loopback | None = None
        self._user = ""
        self.host_key = ""
        self.platform_mark = marks.of_platform(self.data_directory)

    def open(self) -> None:
        """Check the machine, clean up after a platform that was killed here, and claim addresses.

        Raises:
            MissingRequirementError: this machine or user cannot run process hosts.
            LoopbackError: no subnet is free.
            HostError: the directory for temporary files cannot be created.
        """
        self._user = prerequisites.check_process_hosts()
        self.data_directory.mkdir(parents=True, exist_ok=True)
        leftovers.clean(self.data_directory)
        leftovers.rotate_logs(self.data_directory)
        temporary = process_home.temporary_root(self.data_directory)
        try:
            temporary.mkdir(mode=0o700)
        except OSError as error:
            raise HostError(
                f"the hosts' temporary directory {temporary} cannot be created: {error.strerror}"
            ) from error
        self.host_key = self._host_key()
        self._loopback = Loopback.claim(str(self.data_directory))

    @property
    def gateway(self) -> str:
        """The platform's own loopback address."""
        return self.loopback.gateway

    @property
    def loopback(self) -> Loopback:
        """The hosts' addresses.

        Raises:
            HostError: `open` was not called.
        """
        if self._loopback is None:
            raise HostError("the hosts' addresses do not exist before open()")
        return self._loopback

    @property
    def ssh_user(self) -> str:
        """The platform's user."""
        return self._user

    def cut_network(self, instance_id: str) -> None:
        """Refuse: hosts of this kind have no network of their own.

        Raises:
            HostError: always.
        """
        raise HostError(_NO_CABLE)

    def restore_network(self, instance_id: str) -> None:
        """Refuse: hosts of this kind have no network of their own.

        Raises:
            HostError: always.
        """
        raise HostError(_NO_CABLE)

    def _new_host(self, request: HostRequest, listener: HostListener) -> HostThread:
        return _ProcessHost(self, request, listener)

    def _close_network(self) -> bool:
        if self._loopback is None:
            return False
        self._loopback.close()
        self._loopback = None
        shutil.rmtree(process_home.temporary_root(self.data_directory), ignore_errors=True)
        return True


class _ProcessHost(HostThread):
    """Controls one host from boot to end."""

    def __init__(self, hosts: ProcessHosts, request: HostRequest, listener: HostListener) -> None:
        super().__init__(hosts, request, listener)
        self._hosts = hosts
        self._lease: Lease | None = None
        self._mark = 0

    def power_off(self) -> None:
        """Kill all processes of the host. The first one ends last, after it has reaped the others."""
        self._off.set()
        first = self._process
        if first is not None:
            marks.kill(marks.is_host(self._mark), spare=[first.pid])
            first.terminate()
            first.send_signal(signal.SIGCONT)  # if it was stopped

    def _boot(self) -> HostAddress:
        try:
            lease = self._lease = self._hosts.loopback.reserve()
        except LoopbackError as error:
            raise HostError(str(error)) from error
        mark = self._mark = marks.of_host(self._hosts.platform_mark, lease.number)
        place = self._place(lease, mark)
        place.logs.joinpath("tasks").mkdir(parents=True, exist_ok=True)
        process_home.create(place, self._hosts.public_key, self._hosts.host_key, self._config(place))
        command = programs.command("process_init", str(self._disk), str(mark))
        self._start_first_process(command, place.logs)
        self._send(json.dumps(self._specification(place)))
        self._next_event(BOOT_TIMEOUT_SECONDS)
        self._check_on()
        return HostAddress(self._request.instance_id, lease.address, lease.address)

    def _place(self, lease: Lease, mark: int) -> ProcessHome:
        return ProcessHome(
            disk=self._disk,
            temporary=process_home.temporary_root(self._hosts.data_directory) / str(lease.number),
            logs=self._hosts.log_directory(self._request.instance_id),
            address=lease.address,
            mark=mark,
            user=self._hosts.ssh_user,
        )

    def _config(self, place: ProcessHome) -> dict[str, str]:
        paths = {"home": str(place.home), "data": str(place.data), "taskLogs": str(place.logs / "tasks")}
        return self._agent_config(place.address, paths)

    def _specification(self, place: ProcessHome) -> dict[str, Any]:
        command = programs.command("agent", str(place.agent_config), python=str(place.python))
        return {
            "address": place.address,
            "log_directory": str(place.logs),
            "sshd": prerequisites.find("sshd"),
            "sshd_config": str(place.sshd_config),
            "user_data": self._request.user_data,
            "user_data_file": str(place.etc / "user-data.txt"),
            "environment": place.environment(),
            "agent": {
                "command": command if self._hosts.with_agent else [],
                "home": str(place.home),
                "environment": place.environment(),
                "paths": place.agent_paths(),
            },
        }

    def _clean_up(self) -> None:
        self.power_off()
        self._end_first_process()
        if self._lease is None:
            return
        marks.kill(marks.is_host(self._mark))  # if the first process was killed
        shutil.rmtree(self._disk, ignore_errors=True)
        temporary = process_home.temporary_root(self._hosts.data_directory) / str(self._lease.number)
        shutil.rmtree(temporary, ignore_errors=True)
        self._hosts.loopback.release(self._lease)
