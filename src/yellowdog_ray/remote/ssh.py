"""OpenSSH to the head: commands, files, a forwarded port. Does not judge the state of a node."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from yellowdog_ray.errors import HostKeyChanged, SshError
from yellowdog_ray.private_file import make_private_folder
from yellowdog_ray.remote import processes

SSH_PORT = 22
_BANNER = b"SSH-"  # the first bytes from every server: RFC 4253, section 4.2
CONNECT_SECONDS = 5
_TUNNEL_SECONDS = 10.0
_LOOPBACK = "127.0.0.1"
_HOST_KEYS = "~/.raydog/host-keys"

UPLOAD_SECONDS = 120.0
"""For an upload besides its bytes: connecting, and comparing what the host has already."""

UPLOAD_BYTES_PER_SECOND = 32 * 1024
"""The slowest upload: the uplink of a bad mobile connection. A host that takes its bytes more slowly hangs."""

RSYNC = ("rsync", "--timeout=120")
"""rsync ends by itself when nothing has been transferred for so many seconds. The process that has set the deadline of
the upload may be gone (SIGKILL)."""


@dataclass(frozen=True)
class SshTarget:
    """A host that accepts a user's private key.

    Attributes:
        node_id: the name under which the host's key is stored. An address may belong to another cluster tomorrow.
    """

    user: str
    host: str
    private_key: str
    node_id: str
    proxy_command: str | None = None

    def options(self) -> list[str]:
        """OpenSSH options: those of Ray's own command runner, so that both reach a host or neither does.

        One differs: the host's key is accepted once, and must stay the same. Ray accepts any key each time.
        """
        host_key = host_key_file(self.node_id)
        with contextlib.suppress(OSError):  # OpenSSH then warns, and continues
            make_private_folder(host_key.parent)
        options = [
            f'-oIdentityFile="{_literal(Path(self.private_key).expanduser())}"',
            "-oStrictHostKeyChecking=accept-new",
            f'-oUserKnownHostsFile="{_literal(host_key)}"',
            f"-oHostKeyAlias={self.node_id}",
            "-oIdentitiesOnly=yes",
            "-oBatchMode=yes",
            "-oLogLevel=ERROR",
            f"-oConnectTimeout={CONNECT_SECONDS}",
            "-oServerAliveInterval=5",
            "-oServerAliveCountMax=3",
        ]
        return [*options, f"-oProxyCommand={self.proxy_command}"] if self.proxy_command else options

    @property
    def address(self) -> str:
        """`user@host`."""
        return f"{self.user}@{self.host}"

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60.0) -> str:
        """Run a shell command on the host and return its output.

        Args:
            command: for the login shell of the user; without secrets, since process lists show it.
            stdin: the input of the command; the place for secrets.
            timeout: seconds.

        Raises:
            SshError: the host was not reached in time, or the command failed.
        """
        line = ["ssh", *self.options(), self.address, command]
        try:
            done = processes.run(line, timeout, stdin, subprocess.PIPE, subprocess.PIPE)
        except subprocess.TimeoutExpired as error:
            raise SshError(f"{self.address}: `{command}` did not end within {timeout:g} s") from error
        except FileNotFoundError as error:
            raise SshError("this machine has no `ssh`: install OpenSSH's client") from error
        if done.returncode != 0:
            raise self.failure(done.stderr, f"`{command}` ended with {done.returncode}")
        return done.stdout.decode(errors="replace")

    def upload(self, local: str, remote: str) -> None:
        """Copy a file or directory to the host with rsync. A directory's content becomes the content of `remote`.

        Raises:
            SshError: it was not copied, or not within `UPLOAD_SECONDS` and the time that its bytes take.
        """
        rsh = shlex.join(["ssh", *self.options()])
        self.run(f"mkdir -p {shlex.quote(str(Path(remote).parent))}")
        path = Path(local).expanduser()
        source = f"{path}/" if path.is_dir() else str(path)  # without the slash, rsync makes `remote/folder`
        command = [*RSYNC, "--rsh", rsh, "-az", source, f"{self.address}:{remote}"]
        seconds = upload_seconds(path)
        try:
            done = processes.run(command, seconds, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except subprocess.TimeoutExpired as error:
            raise SshError(f"{self.address}: {local} was not copied within {seconds:.0f} s") from error
        except FileNotFoundError as error:
            raise SshError("this machine has no `rsync`: install rsync") from error
        if done.returncode != 0:
            raise self.failure(done.stderr, f"{local} could not be copied")

    def failure(self, stderr: bytes, what: str) -> SshError:
        """OpenSSH's message as an error; `what` replaces an empty message."""
        message = stderr.decode(errors="replace").strip()
        if f"key for {self.node_id} has changed" not in message:
            return SshError(f"{self.address}: {message or what}")
        return HostKeyChanged(
            f"the head at {self.host} shows another SSH host key than before: it is another machine, or somebody "
            "intercepts the connection. Nothing was sent. If the change is intended, remove "
            f"{host_key_file(self.node_id)}"
        )


def upload_seconds(path: Path) -> float:
    """The deadline for the upload of a file or directory (seconds)."""
    return UPLOAD_SECONDS + _size(path) / UPLOAD_BYTES_PER_SECOND


def _size(path: Path) -> int:
    """The bytes of a file, or of all files of a directory."""
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(file.lstat().st_size for file in files)


def _literal(path: Path) -> str:
    """A path for an OpenSSH option, which replaces `%` sequences (ssh_config(5), TOKENS)."""
    return str(path).replace("%", "%%")


def host_key_file(node_id: str) -> Path:
    """The known-hosts file with the key of a node's host."""
    return Path(_HOST_KEYS).expanduser() / node_id


class Tunnel:
    """A local port forwarded to a port of the host's loopback interface, until this process ends.

    The remote end runs `cat` on a pipe of this process: if the process dies, the pipe closes and the tunnel ends.
    """

    def __init__(self, target: SshTarget, remote_port: int) -> None:
        self.port = _free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the tunnel
        self._process = processes.start(
            [
                "ssh",
                *target.options(),
                "-oExitOnForwardFailure=yes",
                f"-L{_LOOPBACK}:{self.port}:{_LOOPBACK}:{remote_port}",
                target.address,
                "cat",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        try:
            self._wait_until_open(target)
        except SshError:
            self.close()
            raise

    def _wait_until_open(self, target: SshTarget) -> None:
        deadline = time.monotonic() + _TUNNEL_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._log.seek(0)
                raise target.failure(self._log.read(), "the tunnel has ended")
            with contextlib.suppress(OSError), socket.create_connection((_LOOPBACK, self.port), timeout=1):
                return
            time.sleep(0.02)
        raise SshError(f"{target.address}: no tunnel within {_TUNNEL_SECONDS:g} s")

    @property
    def alive(self) -> bool:
        """Whether the tunnel is open."""
        return self._process.poll() is None

    def close(self) -> None:
        """Close the tunnel."""
        if self._process.stdin:
            self._process.stdin.close()
        processes.end(self._process)
        self._log.close()


def answers(host: str, timeout: float = 1.0) -> bool:
    """Whether an SSH server answers at a host; an accepted connection alone is not enough.

    Args:
        host: name or address.
        timeout: seconds to connect, and again to receive the server's first bytes.
    """
    with contextlib.suppress(OSError), socket.create_connection((host, SSH_PORT), timeout=timeout) as connection:
        return connection.recv(len(_BANNER)) == _BANNER
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
