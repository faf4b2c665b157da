"""What a new head has after a kit was delivered: the program runs in a real shell, in place of SSH."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from yellowdog_ray.carrier import delivery as module
from yellowdog_ray.carrier.delivery import SshDelivery
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.errors import SshError
from yellowdog_ray.node import kit
from yellowdog_ray.node.package import CURRENT
from yellowdog_ray.remote.ssh import SshTarget

CREDENTIALS = Credentials("https://platform.test", "id", "secret")
HEAD = "head-0badcafe-r1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A kit."""
    files = {kit.TOKEN: "the-token\n", kit.CONFIG: "é: 1", kit.KEY: "key\nEND_OF_FILE\n", kit.JOBS: "[]"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    dependency = tmp_path / kit.PACKAGE / ".dependencies/redis/__init__.py"
    dependency.parent.mkdir(parents=True)
    dependency.write_text("REDIS = 1")
    return tmp_path


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a new head's user, where commands over SSH run."""
    made = tmp_path_factory.mktemp("home")

    def run(_: SshTarget, command: str, stdin: bytes = b"", timeout: float = 60.0) -> str:
        environment = {"HOME": str(made), "PATH": os.environ["PATH"]}
        line = ["sh", "-c", command]
        done = subprocess.run(line, input=stdin, env=environment, capture_output=True, timeout=timeout, check=False)
        if done.returncode:
            raise SshError(done.stderr.decode())
        return done.stdout.decode()

    monkeypatch.setattr(SshTarget, "run", run)
    monkeypatch.setattr(module, "answers", lambda _: True)
    return made


@pytest.fixture
def delivery(folder: Path) -> SshDelivery:
    """The delivery of the kit."""
    return SshDelivery(folder, "yd-agent", CREDENTIALS)


def test_new_head_has_the_kit_after_its_delivery(delivery, folder, home):
    assert delivery.reaches("10.0.0.5", HEAD)
    assert not delivery.is_complete()

    delivery.deliver()

    assert delivery.is_complete()
    assert "YD_API_KEY_SECRET=secret" in (home / ".raydog/credentials").read_text()
    assert (home / ".ray/auth_token").read_text() == "the-token\n"
    assert (home / ".raydog/auth_token_of").read_text() == f"{HEAD}\n"
    assert (home / CURRENT / "yellowdog_ray/carrier/delivery.py").exists()
    assert (home / CURRENT / ".dependencies/redis/__init__.py").read_text() == "REDIS = 1"
    for name, place in ((kit.CONFIG, kit.CONFIG), (kit.KEY, kit.KEY), (kit.JOBS, kit.HEAD_JOBS)):
        assert (home / place).read_bytes() == (folder / name).read_bytes()
        assert (home / place).stat().st_mode & 0o777 == 0o600


def test_jobs_of_an_earlier_cluster_are_deleted(delivery, folder, home):
    (home / kit.HEAD_JOBS).parent.mkdir()
    (home / kit.HEAD_JOBS).touch()
    (folder / kit.JOBS).unlink()
    delivery.reaches("10.0.0.5", HEAD)

    delivery.deliver()

    assert not (home / kit.HEAD_JOBS).exists()


def test_key_comes_last(delivery, home):
    """The head's script starts Ray as soon as it is there."""
    delivery.reaches("10.0.0.5", HEAD)
    (home / f"{kit.HEAD_JOBS}.new").mkdir(parents=True)  # where the file before the key would be written

    with pytest.raises(SshError):
        delivery.deliver()

    assert not delivery.is_complete()


def test_host_that_refuses_the_key_is_not_reached(delivery, monkeypatch):
    def refuse(*_: object, **__: object) -> str:
        raise SshError("Permission denied")

    monkeypatch.setattr(module, "answers", lambda _: True)
    monkeypatch.setattr(SshTarget, "run", refuse)

    assert not delivery.reaches("10.0.0.5", HEAD)


def test_host_without_ssh_is_not_reached(delivery, monkeypatch):
    monkeypatch.setattr(module, "answers", lambda _: False)

    assert not delivery.reaches("10.0.0.5", HEAD)
