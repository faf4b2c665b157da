"""What this machine must have for namespace hosts: looks, changes nothing, and says each lack with its remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass


class MissingRequirementError(Exception):
    """Namespace hosts cannot run here; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Program:
    """A program that hosts need: one of `names`, from the Debian and Ubuntu package `package`."""

    names: tuple[str, ...]
    package: str


PROGRAMS = (
    Program(("ip",), "iproute2"),
    Program(("unshare",), "util-linux"),
    Program(("sshd",), "openssh-server"),
    Program(("ssh-keygen",), "openssh-client"),
    Program(("rsync",), "rsync"),
    Program(("redis-server", "valkey-server"), "redis-server"),
)
# Programs of the system live in directories that are not on every user's PATH.
SEARCH_PATH = ":".join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


def check_hosts() -> None:
    """Refuse a machine that cannot run namespace hosts.

    Raises:
        MissingRequirementError: what is missing.
    """
    if sys.platform != "linux":
        raise MissingRequirementError("namespace hosts need Linux: run the local platform on a Linux machine")
    missing = [program for program in PROGRAMS if not _found(program)]
    if missing:
        names = ", ".join(" or ".join(program.names) for program in missing)
        packages = " ".join(sorted({program.package for program in missing}))
        raise MissingRequirementError(
            f"missing on this machine: {names}; install with `apt-get install {packages}` "
            f"(or your system's equivalent), and start again"
        )
    if os.geteuid() != 0:
        raise MissingRequirementError(
            "namespace hosts need root (they make network namespaces and mounts): run the same command with sudo"
        )
    _check_namespaces()


def _check_namespaces() -> None:
    """Root in a container is often not allowed to make any: seen here, and not by every host that does not boot."""
    command = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": SEARCH_PATH})
    if tried.returncode != 0:
        raise MissingRequirementError(
            f"this machine does not let root make namespaces ({tried.stderr.strip()}): inside a container, "
            f"start that with --privileged"
        )


def _found(program: Program) -> bool:
    return any(shutil.which(name, path=SEARCH_PATH) for name in program.names)
