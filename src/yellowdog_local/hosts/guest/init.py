"""The first process (PID 1) of a namespace host: mounts its disk, starts sshd, user data and agent, reaps. Stdlib only.

It runs in fresh mount, network, PID, UTS and IPC namespaces, as `unshare` made them, and knows only what one line of
JSON on its standard input says. Standard input stays open for as long as the platform lives: its end, for whatever
reason (a SIGKILL of the platform included), ends this process, and with it everything in its PID namespace, its
mounts and its network. That is why nothing here needs to be cleaned up, and why no child may inherit the pipe.

What it reads:   the specification, then `wired` (eth0 is there), then `go` (the instance counts as running).
What it writes:  {"event": "hello", "pid": ...}, {"event": "booted"}, {"event": "failed", "message": ...}
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Spec = dict[str, Any]

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND = 1, 2, 4, 8, 4096
MNT_DETACH = 2
SSHD = "/usr/sbin/sshd"
LOGS = "/var/log/raydog"
USER_DATA = "/var/lib/cloud/instance/user-data.txt"
OPEN_FILES = 65536  # Ray warns where it may open few
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
SSHD_PATIENCE_SECONDS = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


class BootError(Exception):
    """The host cannot be brought up; the message says what did not work."""


class PlatformGoneError(Exception):
    """The platform closed our standard input: switch off."""


def log(message: str) -> None:
    """Write to the host's own log (standard error)."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {message}", file=sys.stderr, flush=True)  # noqa: T201


class Control:
    """The two pipes to the platform."""

    def __init__(self) -> None:
        self._rest = b""

    def tell(self, **event: object) -> None:
        """Send one event. A platform that no longer listens is noticed when reading."""
        try:
            os.write(1, json.dumps(event).encode() + b"\n")
        except BrokenPipeError:
            log("the platform no longer listens")

    def read(self) -> str:
        """The next line, waiting for it.

        Raises:
            PlatformGoneError: there will be none.
        """
        while b"\n" not in self._rest:
            chunk = os.read(0, 65536)
            if not chunk:
                raise PlatformGoneError
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()


# -- the disk ---------------------------------------------------------------------------------------------------------


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    """Ask the kernel to mount something.

    Raises:
        OSError: the kernel refused.
    """
    arguments = [source.encode(), target.encode(), kind.encode() if kind else None]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount of {source} ({kind or 'bind'}) failed: {os.strerror(code)}", target)


class Disk:
    """The host's own file systems: overlays whose upper layers hold the image's files and all that the host writes.

    Args:
        directory: where upper layers are kept; the current directory is changed to it.
        overlays: `{"path": where the host sees it}`, the root first; each lies over the machine's same path.
    """

    def __init__(self, directory: str, overlays: list[str]) -> None:
        self.root = str(Path(directory) / "root")
        self._directory = directory
        self._layers = {path: str(Path(directory) / f"layer{number}") for number, path in enumerate(overlays)}

    def assemble(self, image: list[Spec]) -> None:
        """Furnish the upper layers and mount the overlays; on a tmpfs where the data directory cannot hold them."""
        try:
            self._furnish_and_mount(image)
        except OSError as error:
            # Above all a data directory that itself lies on an overlay (a container), or on a network file system.
            log(f"the data directory cannot carry a host's disk ({error}); the disk is kept in memory instead")
            mount("tmpfs", self._directory, "tmpfs", 0, "mode=755")
            self._furnish_and_mount(image)

    def _furnish_and_mount(self, image: list[Spec]) -> None:
        for layer in self._layers.values():
            for part in ("upper", "work"):
                Path(layer, part).mkdir(parents=True)
        Path(self.root).mkdir()
        for path, layer in self._layers.items():
            _copy_attributes(path, f"{layer}/upper")
        for entry in image:
            self._furnish(entry)
        for path, layer in self._layers.items():
            self._mount_overlay(path, layer)

    def _mount_overlay(self, path: str, layer: str) -> None:
        target = self.root if path == "/" else self.root + path
        Path(target).mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={_escaped(path)},upperdir={_escaped(layer)}/upper,workdir={_escaped(layer)}/work"
        try:
            # A host's disk never outlives it, so that nothing of it must ever be flushed.
            mount("overlay", target, "overlay", 0, f"{options},volatile")
        except OSError:
            mount("overlay", target, "overlay", 0, options)

    def _furnish(self, entry: Spec) -> None:
        real = self._place(entry["path"])
        if entry.get("absent"):
            os.mknod(real, stat.S_IFCHR, os.makedev(0, 0))  # how overlayfs writes down "deleted"
            return
        if "link" in entry:
            Path(real).symlink_to(entry["link"])
            return
        if "text" in entry:
            Path(real).write_text(entry["text"], encoding="utf-8")
        elif not Path(real).is_dir():
            Path(real).mkdir()
        if entry.get("opaque"):
            os.setxattr(real, "trusted.overlay.opaque", b"y")
        if "uid" in entry:
            os.chown(real, entry["uid"], entry["gid"])
        Path(real).chmod(entry["mode"])

    def _place(self, path: str) -> str:
        """Where a path of the host lies in the upper layers, with its parent directories made as the machine's are."""
        parent, name = os.path.split(path)
        # Links on the way, such as /var/run -> /run, are the machine's own and stay in force.
        path = str(Path(os.path.realpath(parent), name))
        mounted = max((m for m in self._layers if path == m or path.startswith(m.rstrip("/") + "/")), key=len)
        upper = f"{self._layers[mounted]}/upper"
        inside = os.path.relpath(path, mounted)
        made = Path(mounted)
        for part in Path(inside).parts[:-1]:
            made /= part
            own = upper + "/" + os.path.relpath(made, mounted)
            if not Path(own).exists():
                Path(own).mkdir(mode=0o755)
                _copy_attributes(str(made), own)
        return f"{upper}/{inside}"

    def enter(self) -> None:
        """Make the disk the root of everything from here on, and forget the machine's.

        Raises:
            OSError: the kernel refused.
        """
        os.chdir(self.root)
        if _libc.pivot_root(b".", b".") != 0 or _libc.umount2(b".", MNT_DETACH) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"pivot_root failed: {os.strerror(code)}", self.root)
        os.chdir("/")


def _copy_attributes(machine_path: str, own: str) -> None:
    try:
        there = Path(machine_path).stat()
    except FileNotFoundError:
        return
    os.chown(own, there.st_uid, there.st_gid)
    Path(own).chmod(stat.S_IMODE(there.st_mode))


def _escaped(path: str) -> str:
    """A path as the overlay's mount options need it: backslash, comma and colon mean something there."""
    return path.replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


def mount_system(root: str, log_directory: str) -> None:
    """The file systems that every host has anew, and the log directory, which it shares with the machine."""
    mount("proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("sysfs", f"{root}/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
    mount("tmpfs", f"{root}/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    Path(f"{root}/run/sshd").mkdir(mode=0o755)
    mount("tmpfs", f"{root}/dev", "tmpfs", MS_NOSUID, "mode=755")
    for name, numbers in DEVICES.items():
        os.mknod(f"{root}/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(*numbers))
        Path(f"{root}/dev/{name}").chmod(0o666)
    for name, target in LINKS.items():
        Path(f"{root}/dev/{name}").symlink_to(target)
    for name in ("pts", "shm"):
        Path(f"{root}/dev/{name}").mkdir()
    mount("tmpfs", str(Path(root, "dev", "shm")), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    pts = "newinstance,ptmxmode=0666,mode=0620,gid=5"
    mount("devpts", f"{root}/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, pts)
    Path(f"{root}/dev/ptmx").symlink_to("pts/ptmx")
    mount(log_directory, root + LOGS, None, MS_BIND)


# -- the network ------------------------------------------------------------------------------------------------------


def configure_network(address: str, prefix_length: int) -> None:
    """Bring up lo and eth0. There is no default route: what is not on the bridge cannot be reached, at once.

    Raises:
        BootError: `ip` refused.
    """
    commands = (
        "link set lo up\n"
        "link set eth0 addrgenmode none\n"
        f"addr add {address}/{prefix_length} dev eth0\n"
        "link set eth0 up\n"
    )
    done = subprocess.run(["ip", "-batch", "-"], input=commands, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BootError(f"its network could not be configured: {done.stderr.strip()}")


def raise_open_files_limit() -> None:
    """Let everything on the host open many files: up to what the machine's own limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def listens(port: int, address: str = "") -> bool:
    """Whether a TCP port of this network namespace is being listened on (seen without knocking at it).

    Args:
        port: the port.
        address: the IPv4 address that it must be listened on at; any, if empty.
    """
    # The kernel prints an address as the number that its four bytes are in this machine's memory.
    place = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}" if address else ""
    wanted = f"{place}:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows)


# -- what runs --------------------------------------------------------------------------------------------------------


class Init:
    """Starts the host's services in order and reaps whatever dies."""

    logs = LOGS
    user_data = USER_DATA

    def __init__(self, spec: Spec, control: Control) -> None:
        self._spec = spec
        self._control = control
        self._children: dict[int, str] = {}
        # Kept, because a collected Popen object would try to reap by itself.
        self._processes: list[subprocess.Popen[bytes]] = []

    def boot(self) -> None:
        """From an empty namespace to a host that answers on SSH.

        Raises:
            BootError: it does not come up.
        """
        disk = Disk(self._spec["disk"], self._spec["overlays"])
        disk.assemble(self._spec["image"])
        mount_system(disk.root, self._spec["log_directory"])
        if self._control.read() != "wired":
            raise BootError("the platform sent something else than `wired`")
        disk.enter()
        socket.sethostname(self._spec["hostname"])
        configure_network(self._spec["address"], self._spec["prefix_length"])
        raise_open_files_limit()
        self._start_sshd([SSHD, "-D", "-e"])

    def serve(self) -> None:
        """Wait for the platform's word and for the ends of children, for as long as the platform lives.

        Raises:
            PlatformGoneError: it no longer does.
        """
        wake, notify = os.pipe()
        os.set_blocking(notify, False)
        signal.set_wakeup_fd(notify)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(0, select.POLLIN)
        poll.register(wake, select.POLLIN)
        self._reap()  # whoever ended before the handler was there
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == wake:
                    os.read(wake, 4096)
                elif self._control.read() == "go":
                    self._run_user_data()
            self._reap()

    def _start_sshd(self, command: list[str], address: str = "") -> None:
        self._start("sshd", command)
        deadline = time.monotonic() + SSHD_PATIENCE_SECONDS
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
            # As cloud-init does with user data that is no script and none of its own formats.
            Path(self.logs, "userdata.log").write_text("user data does not begin with `#!`: it was not run\n")
            self._start_agent()
            return
        Path(self.user_data).write_text(text, encoding="utf-8")
        Path(self.user_data).chmod(0o700)
        try:
            self._start("userdata", [self.user_data], env=self._user_data_environment())
        except OSError as error:
            log(f"user data could not be run: {error}")
            self._start_agent()

    def _user_data_environment(self) -> dict[str, str]:
        environment: dict[str, str] = self._spec["environment"] | self._spec["agent"]["paths"]
        return environment | {"HOME": "/root", "USER": "root"}

    def _start_agent(self) -> None:
        agent = self._spec["agent"]
        if agent["command"]:
            self._start("agent", agent["command"], env=agent["environment"], cwd=agent["home"], **self._agent_user())

    def _agent_user(self) -> dict[str, Any]:
        """Who the agent runs as, in the words of `subprocess`."""
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
                log(f"{name} ended with {os.waitstatus_to_exitcode(status)}")
            if name == "userdata":
                self._start_agent()


def main() -> int:
    """Boot and serve until the platform is gone."""
    os.umask(0o022)  # whatever the platform was started with: yd-agent must be able to read what is made here
    control = Control()
    try:
        spec = json.loads(control.read())
        # The machine's /proc is still mounted here, and shows us by the machine's numbering.
        control.tell(event="hello", pid=int(Path("/proc/self").readlink().name))
        init = Init(spec, control)
        try:
            init.boot()
        except (OSError, BootError) as error:
            log(f"boot failed: {error}")
            control.tell(event="failed", message=str(error))
            return 1
        control.tell(event="booted")
        log("booted")
        init.serve()
    except PlatformGoneError:
        log("switched off: the platform let go")
    return 0


if __name__ == "__main__":
    sys.exit(main())
