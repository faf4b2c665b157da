"""The default task scripts, run with stand-ins for Ray and Valkey."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from yellowdog_ray.scripts import HEAD_SCRIPT

RAY = '#!/bin/bash\necho "$@" >> "$HOME/ray-calls"\n'
VALKEY = '#!/bin/bash\ntouch "$HOME/valkey-runs"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An agent's home whose virtual environment has the stand-ins."""
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").write_text(f'export PATH="{programs}:$PATH"\n')
    for name, text in (("ray", RAY), ("valkey-server", VALKEY)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return tmp_path


@pytest.fixture
def head(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The head's script as it runs on a machine that was the head of an earlier cluster."""
    (home / "ray_bootstrap_key.pem").write_text("an old key")
    (home / ".raydog").mkdir()
    (home / ".raydog" / "credentials").write_text("old secrets")
    environment = {"YD_AGENT_HOME": str(home), "PATH": os.environ["PATH"]}
    with subprocess.Popen(["bash", "-c", HEAD_SCRIPT], env=environment, start_new_session=True) as process:
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_an_earlier_cluster_left_on_the_machine_is_not_taken_for_this_ones(home, head):
    until((home / "valkey-runs").exists)

    assert not (home / "ray_bootstrap_key.pem").exists()
    assert not (home / "ray-calls").exists()


def test_no_secret_stays_when_the_head_has_ended(home, head):
    until((home / "valkey-runs").exists)
    (home / ".raydog" / "credentials").write_text("new secrets")
    (home / "ray_bootstrap_key.pem").write_text("a new key")

    assert head.wait(10) == 0

    assert not (home / "ray_bootstrap_key.pem").exists()
    assert not (home / ".raydog" / "credentials").exists()
    started, stopped = (home / "ray-calls").read_text().splitlines()
    assert started.startswith("start --head --port=6379")
    assert stopped == "stop"
