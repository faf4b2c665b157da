"""The program `python -m yellowdog_ray.head`: what it needs on the machine."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from yellowdog_ray.head import processes
from yellowdog_ray.head.__main__ import main
from yellowdog_ray.node import variables
from yellowdog_ray.node.scripts import CANNOT_SUPERVISE

Check = Callable[[str], int]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs the check with a server that prints this as its version; returns the exit code."""
    server = tmp_path / "server"
    options = ["--folder", str(tmp_path), "--server", str(server), "--port", "1", "--check"]
    monkeypatch.setattr(sys, "argv", ["head", *options])
    monkeypatch.setattr(processes, "adopt_orphans", lambda: None)
    monkeypatch.delenv(variables.START_HOOK, raising=False)

    def run(version: str) -> int:
        server.write_text(f"#!/bin/sh\necho '{version}'\n")
        server.chmod(0o755)
        return main()

    return run


@pytest.mark.parametrize("version", ["Redis server v=6.0.16 sha=0", "Valkey server v=10.1"])
def test_check_succeeds_silently_with_a_server_that_has_users(check, capsys, version):
    assert (check(version), capsys.readouterr().out) == (0, "")


@pytest.mark.parametrize(("version", "shown"), [("Redis server v=5.0.14", "v=5.0.14"), ("", "no version")])
def test_check_fails_with_the_servers_version_when_it_has_no_users(check, capsys, version, shown):
    assert check(version) == CANNOT_SUPERVISE
    assert f"server has no users (version 6 or later is needed): {version or shown}" in capsys.readouterr().out


def test_check_fails_with_the_reason_when_another_hook_is_set(check, capsys, monkeypatch):
    monkeypatch.setenv(variables.START_HOOK, "other.hook")

    assert check("v=8") == CANNOT_SUPERVISE
    assert f"{variables.START_HOOK} is set" in capsys.readouterr().out


def test_check_fails_with_the_reason_when_the_kernel_refuses(check, capsys, monkeypatch):
    def refuse() -> None:
        raise OSError("prctl(36)")

    monkeypatch.setattr(processes, "adopt_orphans", refuse)

    assert check("v=8") == CANNOT_SUPERVISE
    assert "prctl(36)" in capsys.readouterr().out
