"""The image of namespace hosts, as data: the files of a disk before it boots. Starts nothing.

A YellowDog image with Ray has a user `yd-agent`, the agent, a Python environment with Ray, and an OpenSSH server. Here
the machine's own file system is the image. This module lists the entries that `guest/disk.py` lays over it; the machine
itself is not changed.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yellowdog_local.hosts import programs
from yellowdog_local.hosts.guest.disk import LOGS
from yellowdog_local.hosts.guest.init import USER_DATA

USER = "yd-agent"
HOME = "/opt/yellowdog/agent"
DATA = "/var/opt/yellowdog/agent/data"
VENV = f"{HOME}/venv"
AGENT_CONFIG = f"{HOME}/agent.json"
AGENT_FILES = f"{HOME}/agent"
# Not the usual name: the machine's own public key beside it would not match.
HOST_KEY = "/etc/ssh/raydog_host_key"
TASK_LOGS = f"{LOGS}/tasks"
PATH = f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Empty directories of a host's own, in the place of the machine's.
PRIVATE = {
    "/tmp": 0o1777,  # noqa: S108 (an entry of the image)
    "/var/tmp": 0o1777,  # noqa: S108
    "/opt/yellowdog": 0o755,
    "/var/opt/yellowdog": 0o755,
    "/var/lib/cloud": 0o755,
}
# Directories that every host needs, also if they are file systems of their own.
SYSTEM = ("/usr", "/etc", "/var", "/opt")
HIDDEN = (*PRIVATE, "/run", "/dev", "/proc", "/sys")

SSHD_CONFIG = f"""\
Port 22
HostKey {HOST_KEY}
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
UseDNS no
PrintMotd no
PrintLastLog no
# Many of Ray's commands may connect at once.
MaxStartups 200
MaxSessions 200
AcceptEnv LANG LC_*
SetEnv PATH={PATH}
Subsystem sftp internal-sftp
"""

NSSWITCH = """\
passwd: files
group: files
shadow: files
# Names that are not in /etc/hosts fail at once: Ray otherwise waits many seconds for a name server.
hosts: files
networks: files
protocols: files
services: files
"""

PROFILE = f"""\
# The environment with Ray comes first, in login shells too.
export PATH={VENV}/bin:$PATH
"""

Entry = dict[str, Any]


class ImageError(Exception):
    """This machine cannot be the hosts' image; the message names the reason and the remedy."""


@dataclass(frozen=True)
class Image:
    """The image of all hosts of a platform.

    Attributes:
        entries: the files, in the form of `guest/disk.py`.
        overlays: the host's paths that need an overlay of their own, the root first.
        uid: the user id of yd-agent.
        gid: its group id.
    """

    entries: list[Entry]
    overlays: list[str]
    uid: int
    gid: int


def prepare(data_directory: Path, public_key: str, host_key: str) -> Image:
    """Describe the image of all hosts.

    Args:
        data_directory: the platform's own directory, hidden from hosts.
        public_key: the line of the OpenSSH public key for logins as yd-agent.
        host_key: the private host key of every host's sshd.

    Raises:
        ImageError: the Python environment cannot be used by an unprivileged user.
    """
    uid, gid = _free_ids()
    environment = [Path(os.path.realpath(prefix)) for prefix in (sys.prefix, sys.base_prefix)]
    sources = Path(__file__).resolve().parents[2]
    needed = [*environment, sources]
    _check_readable(environment[0])
    entries = _base_files(uid, gid, public_key, host_key)
    entries += [_directory(path, mode, opaque=True) for path, mode in PRIVATE.items()]
    entries += _agent_files(uid, gid, environment[0])
    entries += [_passable(path) for path in _closed_parents(needed)]
    if not _is_within(sources, environment[0]):
        # The platform was started from a checkout: hosts can import its packages all the same.
        entries.append(_file(f"{sysconfig.get_path('purelib')}/raydog-checkout.pth", f"{sources}\n"))
    hidden_already = any(_is_within(data_directory, Path(path)) for path in HIDDEN)
    if not hidden_already:
        entries.append({"path": str(data_directory), "absent": True})
    # Parents first, so that each directory is created by its own entry.
    entries.sort(key=lambda entry: str(entry["path"]).count("/"))
    return Image(entries, ["/", *_overlays(needed)], uid, gid)


def own_files(image: Image, hostname: str, address: str, agent_config: str) -> list[Entry]:
    """The entries of one host's own."""
    return [
        _file("/etc/hostname", f"{hostname}\n"),
        _file("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{address} {hostname}\n"),
        _file(AGENT_CONFIG, agent_config, mode=0o600, owner=(image.uid, image.gid)),
    ]


def service_environment() -> dict[str, str]:
    """The environment of the agent's service, which its tasks inherit."""
    return {"HOME": HOME, "USER": USER, "LOGNAME": USER, "SHELL": "/bin/bash", "PATH": PATH, "LANG": "C.UTF-8"}


def _base_files(uid: int, gid: int, public_key: str, host_key: str) -> list[Entry]:
    # An asterisk, not an exclamation mark: sshd without PAM refuses locked accounts.
    accounts = {
        "/etc/passwd": f"{USER}:x:{uid}:{gid}:YellowDog agent:{HOME}:/bin/bash",
        "/etc/group": f"{USER}:x:{gid}:",
        "/etc/shadow": f"{USER}:*:19000:0:99999:7:::",
    }
    files = [_file(path, _with_account(path, line), mode=_mode(path)) for path, line in accounts.items()]
    return [
        *files,
        _file("/etc/nsswitch.conf", NSSWITCH),
        _file("/etc/resolv.conf", ""),
        _file("/etc/profile.d/raydog.sh", PROFILE),
        _file("/etc/ssh/sshd_config", SSHD_CONFIG),
        _file(HOST_KEY, host_key, mode=0o600),
        _directory(f"{HOME}/.ssh", 0o700, owner=(uid, gid)),
        _file(f"{HOME}/.ssh/authorized_keys", public_key.strip() + "\n", mode=0o600, owner=(uid, gid)),
    ]


def _agent_files(uid: int, gid: int, environment: Path) -> list[Entry]:
    return [
        _directory(HOME, 0o755, owner=(uid, gid)),
        _file(f"{HOME}/.bashrc", PROFILE, owner=(uid, gid)),
        *(_file(f"{AGENT_FILES}/{name}", text) for name, text in programs.agent_files().items()),
        {"path": VENV, "link": str(environment)},
        _directory("/var/opt/yellowdog/agent", 0o755, owner=(uid, gid)),
        _directory(DATA, 0o755, owner=(uid, gid)),
        _directory(str(Path(USER_DATA).parent), 0o700),
        _directory(LOGS, 0o755),
        {"path": "/var/log/cloud-init-output.log", "link": f"{LOGS}/userdata.log"},
    ]


def _file(path: str, text: str, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> Entry:
    return {"path": path, "text": text, "mode": mode, "uid": owner[0], "gid": owner[1]}


def _directory(path: str, mode: int, owner: tuple[int, int] = (0, 0), *, opaque: bool = False) -> Entry:
    return {"path": path, "mode": mode, "uid": owner[0], "gid": owner[1], "opaque": opaque}


def _passable(path: Path) -> Entry:
    """The machine's directory, searchable for yd-agent; its contents keep their permissions."""
    there = path.stat()
    mode = stat.S_IMODE(there.st_mode) | 0o111
    return _directory(str(path), mode, owner=(there.st_uid, there.st_gid))


def _closed_parents(needed: list[Path]) -> list[Path]:
    parents = {parent for path in needed for parent in (path, *path.parents)}
    return sorted(path for path in parents if not path.stat().st_mode & stat.S_IXOTH)


def _overlays(needed: list[Path]) -> list[str]:
    """Paths that an overlay over `/` alone would not show: other file systems, and paths in hidden directories."""
    root = Path("/").stat().st_dev
    candidates = [*needed, *(Path(path) for path in SYSTEM)]
    wanted = {
        path
        for path in candidates
        if path.is_dir()
        and not path.is_symlink()
        and (path.stat().st_dev != root or any(_is_within(path, Path(hidden)) for hidden in HIDDEN))
    }
    return sorted(str(path) for path in wanted if not any(_is_within(path, other) for other in wanted - {path}))


def _is_within(path: Path, directory: Path) -> bool:
    return path == directory or directory in path.parents


def _check_readable(environment: Path) -> None:
    library = Path(sysconfig.get_path("purelib"))
    for path in (library, Path(os.path.realpath(sys.executable))):
        if not path.stat().st_mode & stat.S_IROTH:
            raise ImageError(
                f"{path} cannot be read by other users, so the hosts' user {USER} could not use the Python environment "
                f"{environment}. Run `chmod -R go+rX {environment}`, or create the environment again with umask 022"
            )


def _free_ids() -> tuple[int, int]:
    """A user and a group id that this machine does not use: a host's user must own none of the machine's files."""
    users = {entry.pw_uid for entry in pwd.getpwall()}
    groups = {entry.gr_gid for entry in grp.getgrall()}
    free = next(number for number in range(61500, 65000) if number not in users and number not in groups)
    return free, free


def _with_account(path: str, line: str) -> str:
    kept = [old for old in Path(path).read_text(encoding="utf-8").splitlines() if not old.startswith(f"{USER}:")]
    return "\n".join([*kept, line]) + "\n"


def _mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)
