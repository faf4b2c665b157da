"""The way to a head that does not exist yet: runs `auth.ssh_proxy_command` once, as OpenSSH would.

Connects to other hosts, so `ray up` does not do this. The command is given the loopback address of the host that it
leads to: that host's own SSH server answers where the command is good.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from yellowdog_ray.commands.laptop_checks import proxy_program
from yellowdog_ray.config.check import Check, failed, ok, unchecked, warning
from yellowdog_ray.remote import processes, ssh
from yellowdog_ray.remote.ssh import SSH_PORT

PROXY_SECONDS = 8.0
"""How long the proxy command may take to connect; `ray up` gives OpenSSH 20 s."""

ADDRESS_SECONDS = 5.0
"""How long a running head may take to answer."""

_SUBJECT = "way to the head"
_BANNER = b"SSH-"
_LOOPBACK = "127.0.0.1"
_NO_NODE = "raydog-doctor"
_NOT_FOUND = (126, 127)  # a shell's codes for a program that cannot be run
_REACHED = ("open failed", "forwarding failed", "administratively prohibited")
"""Words of an `ssh -W` that has logged in, and whose server does not connect to the address."""


def check_way(auth: Mapping[str, Any], *, private: bool, seconds: float = PROXY_SECONDS) -> Check:
    """Try the way to the head, as far as it exists before the head does.

    Args:
        auth: the YAML's `auth`.
        private: whether Ray's `use_internal_ips` is set.
        seconds: how long the proxy command may take.
    """
    command = auth.get("ssh_proxy_command")
    if not isinstance(command, str) or not command.strip() or "\0" in command:
        where = (
            "at its private address, so this machine must be in its network"
            if private
            else "at its public address, or if its template gives none, within its network"
        )
        return unchecked(
            _SUBJECT,
            f"only a running head has an address to try. SSH reaches it directly, {where}; its firewall must let TCP "
            f"{SSH_PORT} in. Otherwise set auth.ssh_proxy_command",
        )
    named = bool(auth.get("ssh_proxy_use_node_id"))
    host = _NO_NODE if named else _LOOPBACK
    line = expanded(command, host, str(auth.get("ssh_user", "")))
    return _judged(_run(line, seconds), line, named=named, seconds=seconds)


def check_address(address: str) -> Check:
    """Whether the SSH server of a running head answers this machine directly."""
    subject = "head's address"
    if ssh.answers(address, ADDRESS_SECONDS):
        return ok(subject, f"an SSH server answers at {address}")
    return warning(
        subject,
        f"no SSH server answers at {address} within {ADDRESS_SECONDS:g} s: let TCP {SSH_PORT} of this machine in at "
        "the head's firewall, or set auth.ssh_proxy_command",
    )


def expanded(command: str, host: str, user: str) -> str:
    """A proxy command with OpenSSH's tokens replaced (ssh_config(5), TOKENS)."""
    tokens = {"h": host, "n": host, "p": str(SSH_PORT), "r": user, "%": "%"}
    return re.sub("%(.)", lambda token: tokens.get(token[1], token[0]), command)


@dataclass(frozen=True)
class _Outcome:
    """The first bytes of a proxy command, its exit code (None while it runs), and its errors."""

    first: bytes
    code: int | None
    errors: str


def _run(line: str, seconds: float) -> _Outcome:
    """Run a command by the user's shell until it answers, ends, or takes too long. It cannot prompt."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    run = ["env", "SSH_ASKPASS_REQUIRE=never", shell, "-c", line if line.startswith("exec ") else f"exec {line}"]
    with tempfile.TemporaryFile() as errors:
        process = processes.start(run, subprocess.PIPE, subprocess.PIPE, errors)
        try:
            first, code = _first_bytes(process, seconds)
        finally:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            processes.end(process)
        errors.seek(0)
        return _Outcome(first, code, errors.read(4_096).decode(errors="replace").strip())


def _first_bytes(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, int | None]:
    """The first bytes of a process, and its exit code if it has ended instead."""
    deadline = time.monotonic() + seconds
    found = b""
    output = process.stdout
    while output is not None and len(found) < len(_BANNER):
        ready, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return found, None
        more = os.read(output.fileno(), len(_BANNER) - len(found))
        if not more:
            return found, process.wait(max(0.1, deadline - time.monotonic()))
        found += more
    return found, None


def _judged(outcome: _Outcome, line: str, *, named: bool, seconds: float) -> Check:
    reason = outcome.errors.splitlines()[-1] if outcome.errors else "it printed no reason"
    shown = f"auth.ssh_proxy_command (`{line}`)"
    if outcome.first == _BANNER:
        return ok(_SUBJECT, "auth.ssh_proxy_command connects to an SSH server")
    if outcome.code is None:
        return failed(
            _SUBJECT,
            f"{shown} has not connected within {seconds:g} s: check that this machine reaches the host that it names, "
            "and that host's firewall",
        )
    if any(words in outcome.errors for words in _REACHED):
        return ok(
            _SUBJECT, "auth.ssh_proxy_command logs in to its host. Whether that reaches a head, only a head shows"
        )
    advice = "run that command by itself, and correct it"
    if outcome.code in _NOT_FOUND or (_is_ssh(line) and outcome.code != 0):
        return failed(_SUBJECT, f"{shown} ended with exit code {outcome.code} ({reason}): {advice}")
    if named:
        return unchecked(_SUBJECT, f"{shown} needs the id of a node that exists, and ended ({reason})")
    return warning(
        _SUBJECT,
        f"{shown} ended with exit code {outcome.code} ({reason}). It may refuse this address only: {advice} if it does "
        "the same for other addresses",
    )


def _is_ssh(line: str) -> bool:
    try:
        return PurePath(proxy_program(line)).name == "ssh"
    except ValueError:
        return False
