"""The first process (PID 1) of a namespace host: mounts its disk, starts sshd, user data and agent, reaps. Stdlib only.

It runs in fresh mount, network, PID, UTS and IPC namespaces that `unshare` has created. All it needs is one line of
JSON on its standard input. When the platform ends, this process ends, and with it everything in its PID namespace, its
mounts and its network. So nothing here needs to be cleaned up, and no child may inherit the pipe.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from yellowdog_local.hosts.guest.control import Control, PlatformGoneError
from yellowdog_local.hosts.guest.disk import LOGS, Disk, mount_system
from yellowdog_local.hosts.guest.log import log

Spec = dict[str, Any]

SSHD = "/usr/sbin/sshd"
USER_DATA = "/var/lib/cloud/instance/user-data.txt"
OPEN_FILES = 65536  # Ray warns about a low limit
SSHD_TIMEOUT_SECONDS = 10.0


class BootError(Exception):
    """The host cannot be brought up; the message says what failed."""


def configure_network(address: str, prefix_length: int) -> None:
    """Bring up lo and eth0. There is no default route: connections beyond the bridge fail at once.

    Raises:
        BootError: `ip` failed.
    """
    commands = (
        "link set lo up\n"
        "link set eth0 addrgenmode none\n"
        f"addr add {address}/{prefix_length} dev eth0\n"
        "link set eth0 up\n"
    )
    done = subprocess.run(["ip", "-batch", "-"], input=commands, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BootError(f"the network could not be configured: {done.stderr.strip()}")


def raise_open_files_limit() -> None:
    """Raise the limit of open files for everything on the host, up to the machine's own limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def listens(port: int, address: str = "") -> bool:
    """Whether something listens on a TCP port of this network namespace; no connection is made.

    Args:
        port: the port.
        address: the IPv4 address of the listener; any, if empty.
    """
    # The kernel prints an address as a number in this machine's byte order.
    place = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}" if address else ""
    wanted = f"{place}:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows)


class Init:
    """Starts the host's services in order and reaps its orphans."""

    logs = LOGS
    user_data = USER_DATA

    def __init__(self, spec: Spec, control: Control) -> None:
        self._spec = spec
        self._control = control
        self._children: dict[int, str] = {}
        # Kept: a collected Popen object would try to reap by itself.
        self._processes: list[subprocess.Popen[bytes]] = []

    def boot(self) -> None:
        """Bring the host up, from an empty namespace to a running SSH server.

        Raises:
            BootError: the host does not come up.
        """
        disk = Disk(self._spec["disk"], self._spec["overlays"])
        disk.assemble(self._spec["image"])
        mount_system(disk.root, self._spec["log_directory"])
        if self._control.read() != "wired":
            raise BootError("the platform did not send `wired`")
        disk.enter()
        socket.sethostname(self._spec["hostname"])
        configure_network(self._spec["address"], self._spec["prefix_length"])
        raise_open_files_limit()
        self._start_sshd([SSHD, "-D", "-e"])

    def serve(self) -> None:
        """Handle the platform's commands and the ends of children while the platform runs.

        Raises:
            PlatformGoneError: the platform has ended.
        """
        wake, notify = os.pipe()
        os.set_blocking(notify, False)
        signal.set_wakeup_fd(notify)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(0, select.POLLIN)
        poll.register(wake, select.POLLIN)
        self._reap()  # children that ended before the handler was set
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == wake:
                    os.read(wake, 4096)
                elif self._control.read() == "go":
                    self._run_user_data()
            self._reap()

    def _start_sshd(self, command: list[str], address: str = "") -> None:
        self._start("sshd", command)
        deadline = time.monotonic() + SSHD_TIMEOUT_SECONDS
        while not listens(22, address):
            self._reap()
            if "sshd" not in self._children.values() or time.monotonic() > deadline:
                raise BootError(f"sshd did not start; see {self._spec['log_directory']}/sshd.log")
            time.sleep(0.005)

    def _start(self, name: str, command: list[str], **options: Any) -> None:
        with Path(self.logs, f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **({"env": self._spec["environment"], "cwd": "/"} | options),
            )
        self._processes.append(process)
        self._children[process.pid] = name
        log(f"{name} started")

    def _run_user_data(self) -> None:
        text = self._spec["user_data"]
        if not text:
            self._start_agent()
            return
        if not text.startswith("#!"):
            # cloud-init does the same with user data that is no script and in none of its formats.
            Path(self.logs, "userdata.log").write_text("user data was not run: it does not begin with `#!`\n")
            self._start_agent()
            return
        Path(self.user_data).write_text(text, encoding="utf-8")
        Path(self.user_data).chmod(0o700)
        try:
            self._start("userdata", [self.user_data], env=self._user_data_environment())
        except OSError as error:
            log(f"user data was not run: {error}")
            self._start_agent()

    def _user_data_environment(self) -> dict[str, str]:
        environment: dict[str, str] = self._spec["environment"] | self._spec["agent"]["paths"]
        return environment | {"HOME": "/root", "USER": "root"}

    def _start_agent(self) -> None:
        agent = self._spec["agent"]
        if agent["command"]:
            self._start("agent", agent["command"], env=agent["environment"], cwd=agent["home"], **self._agent_user())

    def _agent_user(self) -> dict[str, Any]:
        """The agent's user, as options of `subprocess.Popen`."""
        agent = self._spec["agent"]
        return {"user": agent["uid"], "group": agent["gid"], "extra_groups": []}

    def _reap(self) -> None:
        while True:
            try:
                process_id, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process_id == 0:
                return
            name = self._children.pop(process_id, None)
            if name is not None:
                log(f"{name} ended with exit code {os.waitstatus_to_exitcode(status)}")
            if name == "userdata":
                self._start_agent()


def main(_arguments: list[str]) -> int:
    """Boot, and serve until the platform ends; the exit code.

    Args:
        _arguments: the host's disk, for the process list only.
    """
    os.umask(0o022)  # not the platform's: yd-agent must be able to read what is created here
    control = Control()
    try:
        spec = json.loads(control.read())
        # The machine's /proc is still mounted here: it shows the machine's process number.
        control.send(event="hello", pid=int(Path("/proc/self").readlink().name))
        init = Init(spec, control)
        try:
            init.boot()
        except (OSError, BootError) as error:
            log(f"boot failed: {error}")
            control.send(event="failed", message=str(error))
            return 1
        control.send(event="booted")
        log("booted")
        init.serve()
    except PlatformGoneError:
        log("powered off: the platform has ended")
    return 0
