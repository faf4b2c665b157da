"""The local platform's directory: keys, log, state of the running platform. Files only; starts and stops nothing.

credentials.json    the API key (0600), created at the first start
id_ed25519, .pub    the SSH key for logins to the hosts (0600), created at the first start
state.json          process, URL and hosts of the running platform; valid only while `lock` is held
lock                held by the running platform; the kernel releases it however the platform ends
platform.log        the platform's log; platform.log.1 is that of the run before
hosts/<instance>/   each host's logs: init, userdata, agent, sshd, tasks/<task>.txt; hosts.1 is the run before
disks/<instance>/   each host's disk, or a process host's home, while the host exists
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from yellowdog_local.hosts.real import make_key
from yellowdog_local.service import files

# All that the platform itself creates in its directory.
_NAMES = (
    *("credentials.json", "id_ed25519", "id_ed25519.pub", "state.json", "lock", "platform.log"),
    *("hosts", "hosts.1", "disks", "host_key", "host_key.pub"),
)
ENVIRONMENT_NAMES = ("YD_API_URL", "YD_API_KEY_ID", "YD_API_KEY_SECRET")


class LocalPlatformError(Exception):
    """The command cannot be executed; the message names the reason and the remedy."""


@dataclass(frozen=True)
class ApiKey:
    """The API key of clients; the secret is absent from its repr."""

    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class State:
    """The state of a running platform.

    Attributes:
        pid: its process.
        url: its URL for clients and hosts.
        started: the time at which it became ready (seconds since the epoch).
        hosts: the kind of its hosts: namespace, process or simulated.
        why: the reason for that kind, as a clause.
        ssh_user: the user of SSH logins to its hosts; empty for simulated hosts.
    """

    pid: int
    url: str
    started: float
    hosts: str = ""
    why: str = ""
    ssh_user: str = ""

    @property
    def uptime(self) -> float:
        """Time since it became ready (seconds)."""
        return max(0.0, time.time() - self.started)


class PlatformDirectory:
    """The files of one platform."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.ssh_key = self.path / "id_ed25519"
        self.log = self.path / "platform.log"
        self.hosts = self.path / "hosts"
        self._credentials = self.path / "credentials.json"
        self._state = self.path / "state.json"
        self._lock = self.path / "lock"

    def prepare(self, *, with_ssh_key: bool = True) -> None:
        """Create the directory and the keys where they do not exist yet; simulated hosts need no SSH key.

        Raises:
            LocalPlatformError: the directory cannot be written, or something in it belongs to another user.
        """
        try:
            # Others may enter, because hosts' logs lie inside; secret files have their own permissions.
            files.make_directories(self.path)
            for name in _NAMES:
                files.check_owner(self.path / name)
            if not self._credentials.exists():
                key = {"keyId": f"local-{secrets.token_hex(8)}", "keySecret": secrets.token_urlsafe(32)}
                files.write_text(self._credentials, json.dumps(key) + "\n")
            if not self.ssh_key.exists() and with_ssh_key:
                self._make_ssh_key()
        except OSError as error:
            raise LocalPlatformError(_unusable(error, self.path)) from error

    def _make_ssh_key(self) -> None:
        # In a private directory, because ssh-keygen writes through links.
        with TemporaryDirectory(prefix="raydog-") as temporary:
            made = Path(temporary, self.ssh_key.name)
            make_key(made, "raydog-local")
            public = made.with_suffix(".pub").read_text(encoding="utf-8")
            files.write_text(self.ssh_key.with_suffix(".pub"), public, files.PUBLIC)
            files.write_text(self.ssh_key, made.read_text(encoding="utf-8"))

    def api_key(self) -> ApiKey:
        """The API key of this directory.

        Raises:
            LocalPlatformError: there is none, or you may not read it.
        """
        try:
            files.check_owner(self.path)
            read = json.loads(files.read_text(self._credentials))
            return ApiKey(read["keyId"], read["keySecret"])
        except FileNotFoundError as error:
            raise LocalPlatformError(
                f"there is no API key in {self.path} yet: `raydog local start` creates one"
            ) from error
        except PermissionError as error:
            raise LocalPlatformError(
                f"{self._credentials} belongs to another user: run this as the user who started the platform (sudo?)"
            ) from error
        except OSError as error:
            raise LocalPlatformError(_unusable(error, self.path)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise LocalPlatformError(
                f"{self._credentials} is damaged: remove it, and `raydog local start` creates a new key"
            ) from error

    def public_key(self) -> str:
        """The line of the public key that hosts accept.

        Raises:
            LocalPlatformError: it cannot be read.
        """
        try:
            return files.read_text(self.ssh_key.with_suffix(".pub"))
        except OSError as error:
            raise LocalPlatformError(_unusable(error, self.path)) from error

    @contextmanager
    def new_log(self) -> Iterator[BinaryIO]:
        """An empty log, open for writing; the log of the run before is kept beside it.

        Raises:
            OSError: it cannot be written.
        """
        if self.log.exists():
            self.log.replace(self.log.with_name("platform.log.1"))
        with files.opened(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as log:
            yield log

    def env_lines(self, url: str) -> dict[str, str]:
        """The variables of clients, for their environment or `.env`."""
        key = self.api_key()
        return dict(zip(ENVIRONMENT_NAMES, (url, key.key_id, key.secret), strict=True))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory: only one platform can.

        Raises:
            LocalPlatformError: another platform holds it.
        """
        with files.opened(self._lock, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LocalPlatformError(self.already_running()) from error
            yield

    def is_running(self) -> bool:
        """Whether a platform holds this directory. The kernel answers, so a stale file cannot deceive.

        Raises:
            LocalPlatformError: the directory, or its lock, belongs to another user.
        """
        try:
            files.check_owner(self.path)
            with files.opened(self._lock, os.O_RDONLY) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except files.UntrustedFileError as error:
            raise LocalPlatformError(_unusable(error, self.path)) from error
        return False

    def running(self) -> State | None:
        """The platform that runs here; None where none does, or where it is not ready yet.

        Raises:
            LocalPlatformError: the directory, or a file in it, belongs to another user.
        """
        if not self.is_running():
            return None
        try:
            return State(**json.loads(files.read_text(self._state)))
        except files.UntrustedFileError as error:
            raise LocalPlatformError(_unusable(error, self.path)) from error
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def already_running(self) -> str:
        """The message for the start of a second platform."""
        state = self.running()
        where = f"at {state.url} (process {state.pid})" if state else "and is starting or stopping"
        return (
            f"a local platform runs already in {self.path} {where}: `raydog local status` shows it, "
            f"`raydog local stop` stops it, and --dir starts a second one elsewhere"
        )

    def write_state(self, url: str, hosts: str = "", why: str = "", ssh_user: str = "") -> State:
        """Write the state of this process, the running platform."""
        state = State(os.getpid(), url, time.time(), hosts, why, ssh_user)
        files.write_text(self._state, json.dumps(asdict(state)) + "\n", files.PUBLIC)
        return state

    def forget_state(self) -> None:
        """Remove the state."""
        self._state.unlink(missing_ok=True)


def default_directory() -> Path:
    """`~/.raydog/local` of the user; under sudo, of the caller."""
    user = os.environ.get("SUDO_USER")
    if user and os.geteuid() == 0:
        try:
            return Path(pwd.getpwnam(user).pw_dir, ".raydog", "local")
        except KeyError:
            return Path.home() / ".raydog" / "local"
    return Path.home() / ".raydog" / "local"


def write_env_file(path: Path, lines: dict[str, str]) -> None:
    """Put the lines into an env file (0600), in the place of older ones; its other lines and its owner stay.

    Raises:
        LocalPlatformError: it cannot be written, is a link, or belongs to another user.
    """
    path = path.expanduser()
    try:
        before, owner = _lines_and_owner(path)
        kept = [line for line in before if line.removeprefix("export ").split("=")[0].strip() not in lines]
        text = "\n".join([*kept, *(f"{name}={value}" for name, value in lines.items())]) + "\n"
        files.write_text(path, text, owner=owner)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise LocalPlatformError(f"{path} cannot be written: {reason}") from error


def _lines_and_owner(path: Path) -> tuple[list[str], files.Owner | None]:
    try:
        with files.opened(path, os.O_RDONLY) as file:
            found = os.fstat(file.fileno())
            return file.read().decode("utf-8").splitlines(), files.Owner(found.st_uid, found.st_gid)
    except FileNotFoundError:
        return [], None


def _unusable(error: OSError, directory: Path) -> str:
    if isinstance(error, files.UntrustedFileError):
        return f"{error.filename} cannot be used: {error.strerror}; --dir chooses another directory"
    return f"the directory {directory} cannot be used ({error.strerror}): choose another with --dir"
