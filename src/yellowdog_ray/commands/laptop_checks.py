"""Checks of the user's machine that take milliseconds: OpenSSH, rsync, the home directory, versions. No network.

`ray up` refuses what fails here; `raydog doctor` shows all.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import yellowdog_ray
from yellowdog_ray.config.check import Check, State, failed, ok, unchecked, warning
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.ports import CLIENT_SERVER_PORT, DASHBOARD_PORT
from yellowdog_ray.remote.package import other_installations

OLDEST_RAY = (2, 50)
"""The oldest Ray that RayDog supports, major and minor: the requirement of pyproject.toml."""

LEAST_FREE_BYTES = 4 * 2**20
"""`ray up` writes tokens, host keys and Ray's copies of the YAML: some kilobytes. A fuller disk is about to be full."""

_SOCKET_PATH_BYTES = 107
"""The longest path of a Unix socket: `sun_path` without its end."""

_SOCKET_SUFFIX = 17
"""Characters that OpenSSH appends to a new control socket's path (`muxserver_listen` in mux.c)."""

_SECONDS = 5.0
_PROGRAMS = {"ssh": "OpenSSH's client", "rsync": "rsync"}
_HOST = "255.255.255.255"  # no token of ControlPath becomes longer with an IPv4 address
_USER = re.compile(r"\w[\w.-]*")  # no option of OpenSSH
_VERSION = re.compile(r"(\d+)\.(\d+)")
_NO_PROGRAM = re.compile(r"[$`~(){}<>|&;*?\[]|=")


def require_laptop(auth: Mapping[str, Any], *, keeps_token: bool) -> None:
    """Refuse to create anything from a machine that could not reach or keep a cluster.

    Args:
        auth: the YAML's `auth`, with absolute paths.
        keeps_token: whether `ray up` keeps the cluster's token on this machine.

    Raises:
        ConfigError: a check has failed. All failures are in the message.
    """
    failures = [check.text for check in quick_checks(auth, keeps_token=keeps_token) if check.state is State.FAILED]
    if failures:
        raise ConfigError("\n".join(failures))


def quick_checks(auth: Mapping[str, Any] | None, *, keeps_token: bool = True) -> list[Check]:
    """The checks that `ray up` makes too: at most 50 ms.

    Args:
        auth: the YAML's `auth`, with absolute paths; None without a YAML.
        keeps_token: whether `ray up` keeps the cluster's token on this machine.
    """
    checks = [check_versions(), *check_programs(), check_openssh(auth or {})]
    checks += check_directories(keeps_token=keeps_token)
    return [*checks, check_proxy_program(auth["ssh_proxy_command"])] if auth and _proxied(auth) else checks


def check_versions() -> Check:
    """Python, Ray and RayDog in this environment."""
    subject, ray = "versions", metadata.version("ray")
    found = _VERSION.match(ray)
    if found and (int(found[1]), int(found[2])) < OLDEST_RAY:
        oldest = ".".join(map(str, OLDEST_RAY))
        return failed(
            subject, f"Ray {ray} is too old for RayDog: install Ray {oldest} or later here and on every node's image"
        )
    text = f"Python {platform.python_version()}, Ray {ray}, RayDog {yellowdog_ray.__version__}"
    return ok(subject, f"{text}: the head and its image need the same Python and Ray")


def check_installations() -> list[Check]:
    """Other installations that the user may run by mistake."""
    checks = [warning("installation", text) for text in other_installations()]
    ray, here = shutil.which("ray"), Path(sys.executable).parent
    if ray is None:
        text = f"this shell finds no `ray`: activate the environment {here.parent}, or add {here} to PATH"
    elif Path(ray).parent != here and Path(os.path.realpath(ray)).parent != Path(os.path.realpath(here)):
        text = (
            f"`ray` in this shell is {ray}, of another environment than RayDog's: activate {here.parent}, or install "
            "RayDog beside that `ray`"
        )
    else:
        return checks
    return [*checks, warning("installation", text)]


def check_programs() -> list[Check]:
    """Whether the programs are there that Ray and RayDog run."""
    missing = {name: package for name, package in _PROGRAMS.items() if shutil.which(name) is None}
    if not missing:
        return [ok("programs", f"{' and '.join(_PROGRAMS)} are installed")]
    return [failed("programs", f"this machine has no `{name}`: install {package}") for name, package in missing.items()]


def check_openssh(auth: Mapping[str, Any]) -> Check:
    """OpenSSH's own configuration, as `ssh -G` resolves it for the head. No connection is made."""
    subject = "OpenSSH"
    command = ["ssh", "-G", *([f"-oProxyCommand={auth['ssh_proxy_command']}"] if _proxied(auth) else [])]
    user = str(auth.get("ssh_user"))
    command.append(f"{user}@{_HOST}" if _USER.fullmatch(user) else _HOST)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except FileNotFoundError:
        return unchecked(subject, "this machine has no `ssh`")
    except subprocess.TimeoutExpired:
        return unchecked(subject, f"`ssh -G` did not end within {_SECONDS:g} s")
    if done.returncode != 0:
        errors = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        return failed(subject, f"OpenSSH refuses its configuration ({errors[0]}): correct the file that it names")
    options = dict(line.split(" ", 1) for line in done.stdout.decode(errors="replace").splitlines() if " " in line)
    return _check_control_path(subject, options)


def _proxied(auth: Mapping[str, Any]) -> bool:
    return isinstance(auth.get("ssh_proxy_command"), str) and "\0" not in auth["ssh_proxy_command"]


def _check_control_path(subject: str, options: Mapping[str, str]) -> Check:
    path = options.get("controlpath", "none")
    listens = options.get("controlmaster", "false") not in ("no", "false")
    longest = _SOCKET_PATH_BYTES - (_SOCKET_SUFFIX if listens else 0)
    if path == "none" or len(os.fsencode(path)) <= longest:
        return ok(subject, "OpenSSH accepts its configuration")
    return failed(
        subject,
        f"the path of OpenSSH's control socket has {len(os.fsencode(path))} bytes, and at most {longest} fit ({path}): "
        "write a shorter ControlPath in ~/.ssh/config, for example `ControlPath /tmp/%C`",
    )


def check_proxy_program(command: str) -> Check:
    """Whether the program of `auth.ssh_proxy_command` is there. OpenSSH runs the command by the user's shell."""
    subject = "proxy command"
    try:
        program = proxy_program(command)
    except ValueError as error:
        return failed(subject, f"auth.ssh_proxy_command: no shell can read it ({error}): correct its quotes")
    if not program:
        return failed(subject, "auth.ssh_proxy_command is empty: write a command, or remove the key")
    if _NO_PROGRAM.search(program) or shutil.which(program):
        return ok(subject, f"its program `{program}` is there")
    return failed(
        subject,
        f"auth.ssh_proxy_command: this machine has no program `{program}`: install it, or write its whole path",
    )


def proxy_program(command: str) -> str:
    """The program of a proxy command, before which OpenSSH puts `exec` if it is not there; empty if there is none.

    Raises:
        ValueError: no shell can read the command.
    """
    return next((word for word in shlex.split(command) if word != "exec"), "")


def check_directories(*, keeps_token: bool) -> list[Check]:
    """Whether `ray up` can write where it keeps tokens and host keys, and where Ray keeps copies of the YAML."""
    own = _check_directory("directory ~/.raydog", Path("~/.raydog").expanduser())
    if own.state is State.FAILED and not keeps_token:
        own = warning(own.subject, f"{own.text}. Without it, RayDog cannot recognise the head's host key again")
    return [own, _check_directory("temporary files", Path(tempfile.gettempdir()))]


def _check_directory(subject: str, folder: Path) -> Check:
    place = folder
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return failed(subject, f"{place} is no directory: remove it, or move it away")
    if not os.access(place, os.W_OK | os.X_OK):
        return failed(subject, f"you may not write to {place}: run `chmod u+rwx {place}`, or set HOME or TMPDIR")
    free = shutil.disk_usage(place).free
    if free < LEAST_FREE_BYTES:
        return failed(
            subject, f"the disk of {place} has {free / 2**20:.1f} MiB left: free {LEAST_FREE_BYTES // 2**20} MiB there"
        )
    return ok(subject, f"{folder} can be written")


def check_ports() -> list[Check]:
    """Whether this machine's ports are free to which Ray's commands forward the head's. `ray up` needs none."""
    uses = {DASHBOARD_PORT: "`ray dashboard`", CLIENT_SERVER_PORT: "a tunnel to Ray's client server"}
    return [_check_port(port, use) for port, use in uses.items()]


def _check_port(port: int, use: str) -> Check:
    subject = f"port {port}"
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            other = "`ray dashboard YAML --port 8266`" if port == DASHBOARD_PORT else "another local port for it"
            return warning(
                subject,
                f"another program uses it ({error.strerror}), and {use} needs it: end that program, or use {other}",
            )
    return ok(subject, f"free for {use}")
