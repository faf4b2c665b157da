import platform
import subprocess
from pathlib import Path

import pytest
import ray

from yellowdog_ray import versions
from yellowdog_ray.errors import SshError
from yellowdog_ray.ssh import SshTarget
from yellowdog_ray.versions import Versions

OURS = Versions("3.12.1", "2.60.0")
TARGET = SshTarget("yd-agent", "10.0.0.1", "key")


def test_this_machines_are_those_that_run():
    assert versions.here() == Versions(platform.python_version(), ray.__version__)


@pytest.mark.parametrize("theirs", [OURS, None], ids=["the same", "not known"])
def test_nothing_is_said_where_nothing_is_known_to_differ(theirs):
    assert versions.difference(OURS, theirs) is None


@pytest.mark.parametrize("theirs", [Versions("3.12.3", "2.60.0"), Versions("3.12.1", "2.60.1")])
def test_a_difference_in_the_last_digit_is_told_with_all_four(theirs):
    warning = versions.difference(OURS, theirs)

    assert warning is not None
    assert f"this machine has {OURS}, the head has {theirs}" in warning
    assert "Install the head's versions here" in warning


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose shell is this machine's, with a home of its own."""

    def run(self: SshTarget, command: str, timeout: float) -> str:
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise SshError(done.stderr)
        return f"Welcome to this host\n{done.stdout}"

    monkeypatch.setattr(SshTarget, "run", run)
    monkeypatch.setattr(versions, "AGENT_HOME", str(tmp_path / "agent"))
    return tmp_path


@pytest.mark.parametrize("place", ["venv", "agent/venv"])
def test_a_host_is_asked_by_its_agents_environment(host: Path, place: str):
    programs = host / place / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(
        '#!/bin/bash\n[ "$1" = -c ] && [[ "$2" == *"version(\'ray\')"* ]] && echo 3.11.4 2.55.1\n'
    )
    (programs / "python").chmod(0o755)

    assert versions.on(TARGET) == Versions("3.11.4", "2.55.1")


@pytest.mark.parametrize("script", [None, "exit 1", "echo nonsense"], ids=["no environment", "no Ray", "nonsense"])
def test_a_host_that_cannot_tell_is_none_the_worse(host: Path, script: str | None):
    if script:
        (host / "venv" / "bin").mkdir(parents=True)
        (host / "venv" / "bin" / "python").write_text(f"#!/bin/bash\n{script}\n")
        (host / "venv" / "bin" / "python").chmod(0o755)

    assert versions.on(TARGET) is None
