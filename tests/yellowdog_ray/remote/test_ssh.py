"""SSH with OpenSSH's real client and server, without a network: a proxy command starts the server."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from yellowdog_ray.errors import HostKeyChanged, SshError
from yellowdog_ray.remote import ssh
from yellowdog_ray.remote.ssh import SshTarget, Tunnel, host_key_file, upload_seconds

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


class Host:
    """A machine that only a proxy command reaches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "id_ed25519"
        make_key(self.key)
        self.config = folder / "sshd config"
        self.renew_host_key()

    def renew_host_key(self) -> None:
        host_key = self.folder / "host_key"
        host_key.unlink(missing_ok=True)
        make_key(host_key)
        self.config.write_text(
            f"HostKey {host_key}\nAuthorizedKeysFile {self.key}.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
        )

    def target(self, node_id: str = "head-1a2b3c4d") -> SshTarget:
        return SshTarget(getpass.getuser(), "10.9.8.7", str(self.key), node_id, f"{SSHD} -i -f '{self.config}'")


def make_key(file: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)


@pytest.fixture
def host(tmp_path, monkeypatch):
    if SSHD is None:
        pytest.skip("needs OpenSSH's server: apt-get install openssh-server")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's privilege separation directory
    return Host(tmp_path)


def test_target_runs_writes_and_uploads_through_the_proxy_command(host, tmp_path):
    target = host.target()
    local = tmp_path / "a file"
    local.write_text("copied\n")

    assert target.run("echo hello") == "hello\n"
    target.run(f"mkdir {tmp_path}/there && umask 077 && cat > {tmp_path}/there/secret", b"secret\n")
    target.upload(str(local), str(tmp_path / "there/copy"))

    assert (tmp_path / "there/secret").read_text() == "secret\n"
    assert (tmp_path / "there/secret").stat().st_mode & 0o077 == 0
    assert (tmp_path / "there/copy").read_text() == "copied\n"


def test_changed_host_key_fails_before_anything_is_sent(host, tmp_path):
    host.target().run("true")
    host.renew_host_key()

    with pytest.raises(HostKeyChanged, match=r"the head at 10\.9\.8\.7 shows another SSH host key") as caught:
        host.target().run(f"mkdir {tmp_path}/there", b"secret\n")

    assert "\n" not in str(caught.value)
    assert str(host_key_file("head-1a2b3c4d")) in str(caught.value)
    assert not (tmp_path / "there").exists()


def test_target_connects_after_the_host_key_file_is_removed(host):
    host.target().run("true")
    host.renew_host_key()
    host_key_file("head-1a2b3c4d").unlink()

    assert host.target().run("echo hello") == "hello\n"


def test_target_accepts_a_new_key_for_another_node_at_the_same_address(host):
    host.target().run("true")
    host.renew_host_key()

    assert host.target("head-5e6f7a8b").run("echo hello") == "hello\n"


def test_host_key_folder_is_private(host):
    host.target().run("true")

    assert host_key_file("head-1a2b3c4d").parent.stat().st_mode & 0o077 == 0


def test_run_fails_with_the_message_of_the_proxy(host):
    target = SshTarget("nobody", "10.9.8.7", str(host.key), "head-1a2b3c4d", "sh -c 'echo bastion is down >&2; exit 1'")

    with pytest.raises(SshError, match="bastion is down"):
        target.run("true")


def test_tunnel_reaches_a_port_of_the_host_until_it_is_closed(host, tmp_path):
    started = tmp_path / "started"
    with host.config.open("a") as config:
        config.write(f"ForceCommand touch '{started}'; exec $SSH_ORIGINAL_COMMAND\n")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(Tunnel(host.target(), server.getsockname()[1])) as tunnel,
    ):
        server.accept()[0].close()  # the connection with which the tunnel was tried
        deadline = time.monotonic() + 10
        while not started.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.1)  # the end of the remote command would close the tunnel

        with socket.create_connection(("127.0.0.1", tunnel.port), 10) as local, server.accept()[0] as remote:
            remote.sendall(b"pong")
            assert local.recv(4) == b"pong"

    assert not tunnel.alive
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", tunnel.port), 10)


def test_tunnel_fails_with_the_message_of_the_proxy(host):
    target = SshTarget("nobody", "10.9.8.7", str(host.key), "head-1a2b3c4d", "sh -c 'echo bastion is down >&2; exit 1'")

    with pytest.raises(SshError, match="bastion is down"):
        Tunnel(target, 6379)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> SshTarget:
    """A host that is a folder, of a user with umask 022."""

    def run(self: SshTarget, command: str, stdin: bytes = b"", timeout: float = 60.0) -> str:
        subprocess.run(["bash", "-c", f"umask 022; {command}"], input=stdin, cwd=tmp_path, check=True)
        return ""

    monkeypatch.setattr(SshTarget, "run", run)
    return SshTarget("yd-agent", "10.0.0.1", "key", "head-1")


def test_target_runs_with_a_percent_sign_in_the_home(host, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "100%home"))

    assert host.target().run("echo hello") == "hello\n"
    assert host_key_file("head-1a2b3c4d").is_file()


def test_uploaded_folder_becomes_the_remote_folder_whether_or_not_that_exists(host, tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "module.py").write_text("x = 1\n")

    for _ in range(2):
        host.target().upload(str(tmp_path / "pkg"), str(tmp_path / "there" / "pkg"))

    assert [file.name for file in (tmp_path / "there" / "pkg").iterdir()] == ["module.py"]


def test_upload_without_rsync_fails_with_the_remedy(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(SshTarget, "run", lambda *_, **__: "")

    with pytest.raises(SshError, match="this machine has no `rsync`"):
        folder.upload(str(tmp_path), "there")


def test_upload_ends_at_its_deadline_when_the_host_hangs(host, tmp_path, monkeypatch):
    monkeypatch.setattr(ssh, "UPLOAD_SECONDS", 1.0)
    monkeypatch.setattr(SshTarget, "run", lambda *_, **__: "")
    children, proxy = tmp_path / "children", tmp_path / "proxy"
    proxy.write_text(f"echo $$ > '{children}'\ncat > /dev/null\n")
    hanging = SshTarget("yd-agent", "10.9.8.7", str(host.key), "head-1", f"sh '{proxy}'")
    began = time.monotonic()

    with pytest.raises(SshError, match="was not copied within 1 s"):
        hanging.upload(str(host.key), "there")

    assert time.monotonic() - began < 10
    while Path("/proc", children.read_text().strip()).exists():  # it ends with its `ssh`
        assert time.monotonic() - began < 10
        time.sleep(0.02)


def test_upload_kills_an_rsync_that_ignores_sigterm(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(ssh, "UPLOAD_SECONDS", 0.5)
    monkeypatch.setattr(SshTarget, "run", lambda *_, **__: "")
    (tmp_path / "rsync").write_text("#!/bin/bash\ntrap '' TERM\nsleep 25\n")
    (tmp_path / "rsync").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    began = time.monotonic()

    with pytest.raises(SshError, match="was not copied within"):
        folder.upload(str(tmp_path / "rsync"), "there")

    assert time.monotonic() - began < 10


def test_ssh_and_rsync_end_without_the_process_that_has_started_them(folder, tmp_path, monkeypatch):
    """A `ray up` that is killed ends nothing any more."""
    monkeypatch.setattr(SshTarget, "run", lambda *_: "")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "rsync").write_text(f'#!/bin/bash\necho "$@" > {tmp_path}/arguments\n')
    (tmp_path / "rsync").chmod(0o755)

    folder.upload(str(tmp_path / "rsync"), "there")

    arguments = (tmp_path / "arguments").read_text()
    assert arguments.startswith("--timeout=120 ")
    for option in ("ConnectTimeout=5", "ServerAliveInterval=5", "ServerAliveCountMax=3"):
        assert f"-o{option}" in arguments


def test_upload_has_more_time_for_more_bytes(folder, tmp_path, monkeypatch):
    seconds = []

    def run(command, limit, **_):
        seconds.append(limit)
        return subprocess.CompletedProcess(command, 1, None, b"")

    monkeypatch.setattr(ssh.processes, "run", run)
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "file").write_bytes(bytes(10 * ssh.UPLOAD_BYTES_PER_SECOND))
    (tmp_path / "large" / "dangling").symlink_to("nowhere")
    target = SshTarget("yd-agent", "10.9.8.7", "key", "head-1", "false")
    monkeypatch.setattr(SshTarget, "run", lambda *_, **__: "")

    for name in ("large/file", "large"):
        with pytest.raises(SshError):
            target.upload(str(tmp_path / name), "there")

    assert seconds == [pytest.approx(ssh.UPLOAD_SECONDS + 10, abs=0.01)] * 2


def test_upload_of_a_missing_file_has_the_time_of_an_empty_one(tmp_path):
    assert upload_seconds(tmp_path / "missing") == ssh.UPLOAD_SECONDS
