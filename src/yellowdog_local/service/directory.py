"""The local platform's directory: its keys, its log, who runs in it. Knows files only; starts and stops nothing.

credentials.json    the API key (0600), made at the first start
id_ed25519, .pub    the SSH key that opens the hosts (0600), made at the first start
state.json          where the running platform is; only meaningful while `lock` is held
lock                held by the running platform, and let go by the kernel however that ends
platform.log        what it does; platform.log.1 is the run before
hosts/<instance>/   each host's logs: init, userdata, agent, sshd, tasks/<task>.txt; hosts.1 is the run before
disks/<instance>/   each host's disk, or a process host's home, for as long as the host lives
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

from yellowdog_local.hosts.real import make_key

ENVIRONMENT_NAMES = ("YD_API_URL", "YD_API_KEY_ID", "YD_API_KEY_SECRET")


class LocalPlatformError(Exception):
    """What you asked for cannot be done; the message says why and what to do about it."""


@dataclass(frozen=True)
class ApiKey:
    """The key that clients show. The secret never shows in a repr."""

    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class State:
    """A running platform.

    Attributes:
        pid: its process.
        url: its address for clients and hosts.
        started: when it was ready (seconds since the epoch).
        hosts: the kind of its hosts: namespace, process or simulated.
        why: why of that kind, as a clause.
        ssh_user: who logs in to its hosts; empty where there is nothing to log in to.
    """

    pid: int
    url: str
    started: float
    hosts: str = ""
    why: str = ""
    ssh_user: str = ""

    @property
    def uptime(self) -> float:
        """Seconds since it was ready."""
        return max(0.0, time.time() - self.started)


class PlatformDirectory:
    """Everything that the platform keeps on disk, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.ssh_key = self.path / "id_ed25519"
        self.log = self.path / "platform.log"
        self.hosts = self.path / "hosts"
        self._credentials = self.path / "credentials.json"
        self._state = self.path / "state.json"
        self._lock = self.path / "lock"

    def prepare(self, *, with_ssh_key: bool = True) -> None:
        """Make the directory and the keys where they do not exist yet; simulated hosts need no SSH key.

        Raises:
            LocalPlatformError: the directory cannot be written.
        """
        try:
            # Others may pass, because hosts' logs lie inside; what is secret has its own permissions.
            self.path.mkdir(parents=True, exist_ok=True)
            if not self._credentials.exists():
                key = {"keyId": f"local-{secrets.token_hex(8)}", "keySecret": secrets.token_urlsafe(32)}
                write_private(self._credentials, json.dumps(key) + "\n")
            if not self.ssh_key.exists() and with_ssh_key:
                make_key(self.ssh_key, "raydog-local")
            for path in (self.path, self.ssh_key, self.ssh_key.with_suffix(".pub")):
                if path.exists():
                    give_to_caller(path)
        except OSError as error:
            raise LocalPlatformError(
                f"the directory {self.path} cannot be used ({error.strerror}): choose another with --dir"
            ) from error

    def api_key(self) -> ApiKey:
        """The API key of this directory.

        Raises:
            LocalPlatformError: there is none, or you may not read it.
        """
        try:
            read = json.loads(self._credentials.read_text(encoding="utf-8"))
            return ApiKey(read["keyId"], read["keySecret"])
        except FileNotFoundError as error:
            raise LocalPlatformError(
                f"there is no API key in {self.path} yet: `raydog local start` makes one"
            ) from error
        except PermissionError as error:
            raise LocalPlatformError(
                f"{self._credentials} belongs to another user: run this as who started the platform (sudo?)"
            ) from error
        except (ValueError, KeyError) as error:
            raise LocalPlatformError(
                f"{self._credentials} is damaged: remove it, and `raydog local start` makes a new key"
            ) from error

    def public_key(self) -> str:
        """The line that hosts accept a login with."""
        return self.ssh_key.with_suffix(".pub").read_text(encoding="utf-8")

    def env_lines(self, url: str) -> dict[str, str]:
        """What clients need in their environment or `.env`."""
        key = self.api_key()
        return dict(zip(ENVIRONMENT_NAMES, (url, key.key_id, key.secret), strict=True))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one platform of this directory.

        Raises:
            LocalPlatformError: there is one already.
        """
        with self._lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LocalPlatformError(self.already_running()) from error
            yield

    def is_running(self) -> bool:
        """Whether a platform holds this directory: asks the kernel, so that no stale file can deceive."""
        try:
            with self._lock.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def running(self) -> State | None:
        """The platform that runs here; None where none does, or where it is not ready yet."""
        if not self.is_running():
            return None
        try:
            return State(**json.loads(self._state.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def already_running(self) -> str:
        """The sentence for who starts a second one."""
        state = self.running()
        where = f"at {state.url} (process {state.pid})" if state else "and is starting or ending"
        return (
            f"a local platform runs already in {self.path} {where}: `raydog local status` shows it, "
            f"`raydog local stop` ends it, and --dir makes a second one elsewhere"
        )

    def write_state(self, url: str, hosts: str = "", why: str = "", ssh_user: str = "") -> State:
        """Say that this process is the platform, where it can be reached, and what its hosts are."""
        state = State(os.getpid(), url, time.time(), hosts, why, ssh_user)
        # Written aside and moved: a reader sees all of it or nothing.
        aside = self._state.with_suffix(".new")
        aside.write_text(json.dumps(asdict(state)) + "\n", encoding="utf-8")
        aside.replace(self._state)
        return state

    def forget_state(self) -> None:
        """Remove what `write_state` wrote."""
        self._state.unlink(missing_ok=True)


def default_directory() -> Path:
    """`~/.raydog/local` of the person at the keyboard, also where sudo made them root."""
    user = os.environ.get("SUDO_USER")
    if user and os.geteuid() == 0:
        try:
            return Path(pwd.getpwnam(user).pw_dir, ".raydog", "local")
        except KeyError:
            return Path.home() / ".raydog" / "local"
    return Path.home() / ".raydog" / "local"


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, at no moment."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    give_to_caller(aside)
    aside.replace(path)


def give_to_caller(path: Path) -> None:
    """Under sudo, files that the person needs belong to the person, not to root."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and uid.isdigit() and gid.isdigit():
        os.chown(path, int(uid), int(gid))


def write_env_file(path: Path, lines: dict[str, str]) -> None:
    """Put the lines into an env file (0600), in the place of older ones; its other lines stay.

    Raises:
        LocalPlatformError: it cannot be written.
    """
    try:
        before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in before if line.removeprefix("export ").split("=")[0].strip() not in lines]
        write_private(path, "\n".join([*kept, *(f"{name}={value}" for name, value in lines.items())]) + "\n")
    except OSError as error:
        raise LocalPlatformError(f"{path} cannot be written: {error.strerror}") from error
