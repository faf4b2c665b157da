"""Versions of Python and Ray here and on the head."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from ray import __version__ as ray_version

from tests.yellowdog_ray.ray_cli import ray
from yellowdog_ray.commands import versions
from yellowdog_ray.commands.deliver import Delivered
from yellowdog_ray.commands.dependencies import all_names
from yellowdog_ray.commands.versions import OnHead, Versions
from yellowdog_ray.errors import HeadUnusable, SshError
from yellowdog_ray.remote.ssh import SshTarget

OURS = Versions("3.12.1", "2.60.0")
TARGET = SshTarget("yd-agent", "10.0.0.1", "key", "head-1")
MODULES = "yellowdog_ray.monitor.token_service yellowdog_ray.node.closed_agent"


def head_with(ray: str, **changes: bool) -> OnHead:
    """A head with this Ray, this machine's Python, and a new RayDog unless stated otherwise."""
    return OnHead(Versions("3.12.1", ray), "3.0.0", **changes)


def test_here_returns_the_running_versions():
    assert versions.here() == Versions(sys.version.split()[0], ray_version)


@pytest.mark.parametrize("theirs", [OURS, None], ids=["the same", "not known"])
def test_difference_is_none_for_equal_or_unknown_versions(theirs):
    assert versions.difference(OURS, theirs) is None


@pytest.mark.parametrize("theirs", [Versions("3.12.3", "2.60.0"), Versions("3.12.1", "2.60.1")])
def test_difference_names_all_four_versions(theirs):
    warning = versions.difference(OURS, theirs)

    assert warning is not None
    assert f"this machine has {OURS}, the head has {theirs}" in warning
    assert "Install the head's versions here" in warning


@pytest.mark.parametrize("version", ["2.51.1", "2.50.0"])
def test_head_without_tokens_gives_a_warning(version):
    """Its Ray ignores the token: the cluster works, and is open."""
    head = head_with(version)

    (warning,) = versions.warnings(head.versions, head, needs_tokens=True)

    assert f"Ray {version} on the head has no token authentication. Everybody who reaches" in warning
    assert versions.warnings(head.versions, head, needs_tokens=False) == []


@pytest.mark.parametrize(
    "theirs",
    [None, head_with("2.60.0", closes_agents=False), head_with("2.54.0", closes_agents=False)],
    ids=["not known", "2.60", "2.54"],
)
def test_head_with_tokens_or_of_unknown_version_gives_no_warning(theirs):
    ours = theirs.versions if theirs else OURS

    assert versions.warnings(ours, theirs, needs_tokens=True) == []


class TestRayWhoseAgentsRequireNoToken:
    """Ray 2.52 and 2.53, whose agents RayDog on the node closes."""

    @pytest.mark.parametrize("ray_there", ["2.52.0", "2.53.0"])
    def test_head_gives_a_warning_when_its_raydog_does_not_close_them(self, ray_there):
        head = head_with(ray_there, closes_agents=False)

        (warning,) = versions.warnings(head.versions, head, needs_tokens=True)

        assert f"Ray {ray_there} on the head requires no token at port 52365" in warning
        assert "Use Ray 2.54 or later" in warning
        assert versions.warnings(head.versions, head, needs_tokens=False) == []

    def test_head_gives_no_warning_when_its_raydog_closes_them(self):
        head = head_with("2.52.1")

        assert versions.warnings(head.versions, head, needs_tokens=True) == []

    def test_unknown_head_gives_a_warning_by_the_version_here(self):
        """Ray may be in a container, which RayDog does not examine."""
        (warning,) = versions.warnings(Versions("3.12.1", "2.52.1"), None, needs_tokens=True)

        assert "requires no token at port 52365" in warning


class TestOutdatedRayDogOnTheHead:
    """A RayDog without token service launches workers without tickets: none would join."""

    def test_refusal_names_both_versions_and_the_remedy(self):
        head = OnHead(OURS, "2.0.0", has_token_service=False)

        reason = versions.refusal(head, needs_tokens=True)

        assert reason is not None
        assert "the head has RayDog 2.0.0, which gives workers no token of Ray's (`ray_auth`)" in reason
        assert f"this machine has RayDog {metadata.version('yellowdog-ray')}" in reason
        assert "Install this machine's RayDog in the head's image, or write `ray_auth: none`" in reason

    @pytest.mark.parametrize(
        ("head", "needs_tokens"),
        [
            (None, True),
            (OnHead(OURS, None, has_token_service=False), True),
            (OnHead(OURS, "3.0.0"), True),
            (OnHead(OURS, "2.0.0", has_token_service=False), False),
            (OnHead(Versions("3.12.1", "2.51.0"), "2.0.0", has_token_service=False), True),
        ],
        ids=["not known", "Ray in a container", "new RayDog", "no tokens wanted", "Ray without tokens"],
    )
    def test_head_is_not_refused_otherwise(self, head, needs_tokens):
        assert versions.refusal(head, needs_tokens=needs_tokens) is None


def test_ray_up_warns_of_other_versions_before_ray_starts(
    platform,
    in_a_users_folder,
    cluster_yaml,
    monkeypatch,
):
    monkeypatch.setattr("yellowdog_ray.commands.head_wait.HeadWait.until_reachable", lambda *_: TARGET)
    monkeypatch.setattr("yellowdog_ray.commands.deliver.deliver", lambda *_: Delivered("a-token"))
    complete = {name: metadata.version(name) for name in all_names()}
    head = OnHead(Versions("3.11.0", "2.50.0"), "3.0.0", distributions=complete)
    monkeypatch.setattr(versions, "on", lambda *_: head)

    def send(*_: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr("yellowdog_ray.commands.deliver.for_the_head", send)

    output = " ".join(ray("up", cluster_yaml, in_a_users_folder, "-y").output.split())

    assert "the head has Python 3.11.0 and Ray 2.50.0: Ray requires the same versions" in output


@pytest.mark.parametrize("python", ["3.10.0", "3.13.1"])
def test_head_with_a_python_for_raydog_is_accepted(python):
    versions.require_python(OnHead(Versions(python, "2.60.0"), None))
    versions.require_python(None)


def test_head_with_an_older_python_than_raydog_needs_is_refused():
    with pytest.raises(HeadUnusable, match=r"the head has Python 3\.9\.18, and RayDog, .*, needs 3\.10 or later"):
        versions.require_python(OnHead(Versions("3.9.18", "2.50.0"), None))


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose shell is this machine's, with a home of its own."""

    def run(self: SshTarget, command: str, timeout: float) -> str:
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)}
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
def test_on_reads_versions_of_the_agents_environment(host: Path, place: str):
    programs = host / place / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(
        f'#!/bin/bash\n[ "$1" = -c ] && [[ "$2" == *"version(\'ray\')"* ]] && echo 3.11.4 2.55.1 3.1.0 {MODULES}\n'
    )
    (programs / "python").chmod(0o755)

    assert versions.on(TARGET) == OnHead(Versions("3.11.4", "2.55.1"), "3.1.0")


@pytest.mark.parametrize(
    ("raydog", "expected"),
    [
        ("none", OnHead(OURS, None, has_token_service=False, closes_agents=False)),
        ("2.0.0", OnHead(OURS, "2.0.0", has_token_service=False, closes_agents=False)),
        ("2.9.0 yellowdog_ray.monitor.token_service", OnHead(OURS, "2.9.0", closes_agents=False)),
    ],
)
def test_on_reads_what_an_older_raydog_lacks(host: Path, raydog: str, expected: OnHead):
    (host / "venv" / "bin").mkdir(parents=True)
    (host / "venv" / "bin" / "python").write_text(f"#!/bin/bash\necho {OURS.python} {OURS.ray} {raydog}\n")
    (host / "venv" / "bin" / "python").chmod(0o755)

    assert versions.on(TARGET) == expected


def test_on_reads_this_machines_environment(host: Path):
    """The program itself, which an older Python must understand too."""
    (host / "venv").symlink_to(sys.prefix)

    found = versions.on(TARGET, ["redis", "no-such-distribution"])

    assert found == OnHead(versions.here(), metadata.version("yellowdog-ray"))
    assert found.distributions == {"redis": metadata.version("redis")}


@pytest.mark.parametrize("script", [None, "exit 1", "echo nonsense"], ids=["no environment", "no Ray", "nonsense"])
def test_on_returns_none_when_the_read_fails(host: Path, script: str | None):
    if script:
        (host / "venv" / "bin").mkdir(parents=True)
        (host / "venv" / "bin" / "python").write_text(f"#!/bin/bash\n{script}\n")
        (host / "venv" / "bin" / "python").chmod(0o755)

    assert versions.on(TARGET) is None
