"""Checks what each kind of hosts requires of this machine. Changes nothing; each message names the remedy."""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from yellowdog_local.hosts.loopback import LoopbackError, check_ssh_port
from yellowdog_local.hosts.process_home import current_user


class MissingRequirementError(Exception):
    """Hosts of this kind cannot run on this machine; the message names what is missing, and the remedy."""


@dataclass(frozen=True)
class Program:
    """A program that hosts need: one of `names`, from the Debian and Ubuntu package `package`."""

    names: tuple[str, ...]
    package: str


# For all hosts, and for namespace hosts in addition.
PROGRAMS = (
    Program(("sshd",), "openssh-server"),
    Program(("ssh-keygen",), "openssh-client"),
    Program(("rsync",), "rsync"),
    Program(("redis-server", "valkey-server"), "redis-server"),
)
NAMESPACE_PROGRAMS = (Program(("ip",), "iproute2"), Program(("unshare",), "util-linux"))
# Some system programs are in directories that are not on every user's PATH.
SEARCH_PATH = ":".join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
_SHADOW = Path("/etc/shadow")
# The numbers are the kernel's (capability.h). AUDIT_WRITE: without it sshd ends logins with a terminal.
SSHD_CAPABILITIES = {"SETGID": 6, "SETUID": 7, "SYS_CHROOT": 18, "AUDIT_WRITE": 29}


def find(name: str) -> str | None:
    """The path of a program; None if it is not installed."""
    return shutil.which(name, path=SEARCH_PATH)


def check_namespace_hosts() -> None:
    """Refuse a machine that cannot run namespace hosts.

    Raises:
        MissingRequirementError: what is missing.
    """
    _check_linux()
    _check_programs((*NAMESPACE_PROGRAMS, *PROGRAMS))
    if os.geteuid() != 0:
        raise MissingRequirementError(
            "namespace hosts need root (for network namespaces and mounts): run the same command with sudo"
        )
    _check_namespaces()


def check_process_hosts() -> str:
    """Refuse a machine that cannot run process hosts; the user of SSH logins otherwise.

    Raises:
        MissingRequirementError: what is missing.
    """
    _check_linux()
    _check_programs(PROGRAMS)
    user = current_user()
    if user is None:
        raise MissingRequirementError(
            f"process hosts need an account for user id {os.geteuid()} in /etc/passwd, for SSH logins. Run the "
            f"container as a user of its image, or add the account to the image"
        )
    if _is_locked(user.pw_name):
        raise MissingRequirementError(
            f"the account {user.pw_name} is locked in /etc/shadow, and OpenSSH refuses locked accounts: "
            f"`usermod -p '*' {user.pw_name}` unlocks it without giving it a password"
        )
    if not _may_log_in(user.pw_shell):
        raise MissingRequirementError(
            f"the account {user.pw_name} may not log in (its shell is {user.pw_shell}), but process hosts run as the "
            f"platform's user: use another account, or `usermod -s /bin/bash {user.pw_name}`"
        )
    _check_capabilities()
    _check_terminals()
    _check_ssh_port()
    return user.pw_name


def _check_linux() -> None:
    if sys.platform != "linux":
        raise MissingRequirementError("local hosts need Linux: run the local platform on a Linux machine")


def _check_programs(programs: tuple[Program, ...]) -> None:
    missing = [program for program in programs if not any(find(name) for name in program.names)]
    if missing:
        names = ", ".join(" or ".join(program.names) for program in missing)
        packages = " ".join(sorted({program.package for program in missing}))
        raise MissingRequirementError(
            f"missing on this machine: {names}; install with `apt-get install {packages}` "
            f"(or your system's equivalent), and start again"
        )


def _check_capabilities() -> None:
    """Root in a container may lack capabilities that root's sshd needs."""
    if os.geteuid() != 0:
        return
    held = _capabilities()
    missing = [name for name, bit in SSHD_CAPABILITIES.items() if not held >> bit & 1]
    if missing:
        raise MissingRequirementError(
            f"an SSH server that runs as root needs the capabilities {', '.join(missing)}, which this container does "
            f"not have. Add them ({' '.join(f'--cap-add {name}' for name in missing)}), or run as an ordinary user"
        )


def _capabilities() -> int:
    """The effective capabilities of this process, one bit each."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))


def _check_terminals() -> None:
    """An ordinary user's sshd cannot give a terminal to the group `tty`; it then ends the login."""
    if os.geteuid() == 0:
        return
    try:
        group = grp.getgrnam("tty").gr_gid
    except KeyError:
        return
    found = _group_of_terminals()
    if found != group:
        raise MissingRequirementError(
            f"terminals belong to group {found} here, not to `tty` ({group}), so an ordinary user's SSH server cannot "
            f"open any. Mount /dev/pts with `gid={group}`, as container runtimes do, or run the command as root"
        )


def _group_of_terminals() -> int:
    ends = os.openpty()
    try:
        return os.fstat(ends[1]).st_gid
    finally:
        for end in ends:
            os.close(end)


def _check_ssh_port() -> None:
    try:
        check_ssh_port()
    except LoopbackError as error:
        raise MissingRequirementError(str(error)) from error


def _may_log_in(shell: str) -> bool:
    return os.access(shell or "/bin/sh", os.X_OK) and Path(shell).name not in ("nologin", "false")


def _is_locked(user: str) -> bool:
    """Whether the account is locked for OpenSSH; only root can read it, and only root's sshd checks it."""
    try:
        lines = _SHADOW.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in lines)


def _check_namespaces() -> None:
    """Root in a container often may not create namespaces: detected here, before a host fails to boot."""
    command = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": SEARCH_PATH})
    if tried.returncode != 0:
        raise MissingRequirementError(
            f"this machine does not let root create namespaces ({tried.stderr.strip()}): if it is a container, "
            f"start it with --privileged"
        )
