from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from yellowdog_local.hosts.guest import init
from yellowdog_local.hosts.guest.control import Control

SPEC: dict[str, Any] = {
    "environment": {"PATH": "/bin", "HOME": "/none"},
    "log_directory": "/logs",
    "agent": {
        "command": ["agent"],
        "environment": {"TOKEN": "t"},
        "paths": {"PATH": "/own"},
        "home": "/home/a",
        "uid": 7,
        "gid": 8,
    },
}


class Recorded(init.Init):
    """A first process that starts nothing: it records the names and options of what it would start."""

    def __init__(self, directory: Path, user_data: str, **spec: Any) -> None:
        super().__init__(SPEC | {"user_data": user_data} | spec, Control())
        self.logs, self.user_data = str(directory), str(directory / "script")
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.missing: set[str] = set()

    def _start(self, name: str, _command: list[str], **options: Any) -> None:
        if name in self.missing:
            raise OSError("no interpreter")
        self.started.append((name, options))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.started]


def test_listener_is_found_by_port_and_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert init.listens(port)
        assert init.listens(port, "127.0.0.1")
        assert not init.listens(port, "127.0.0.2")
    assert not init.listens(port)


def test_agent_starts_at_once_without_a_script(tmp_path: Path) -> None:
    for user_data in ("", "#cloud-config"):
        host = Recorded(tmp_path, user_data)
        host._run_user_data()
        assert host.names == ["agent"]
    assert "does not begin with `#!`" in (tmp_path / "userdata.log").read_text()
    assert not (tmp_path / "script").exists()


def test_script_runs_as_root_before_the_agent(tmp_path: Path) -> None:
    host = Recorded(tmp_path, "#!/bin/sh\n")
    host._run_user_data()
    assert host.started == [("userdata", {"env": {"PATH": "/own", "HOME": "/root", "USER": "root"}})]
    assert (tmp_path / "script").stat().st_mode & 0o777 == 0o700


def test_agent_starts_as_its_user_after_a_script_that_cannot_run(tmp_path: Path) -> None:
    host = Recorded(tmp_path, "#!/none\n")
    host.missing = {"userdata"}
    host._run_user_data()
    options = {"env": {"TOKEN": "t"}, "cwd": "/home/a", "user": 7, "group": 8, "extra_groups": []}
    assert host.started == [("agent", options)]


def test_boot_fails_when_sshd_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Recorded(tmp_path, "")
    monkeypatch.setattr(init, "listens", lambda _port, _address: False)
    monkeypatch.setattr(host, "_reap", lambda: None)
    with pytest.raises(init.BootError, match=r"sshd did not start; see /logs/sshd\.log"):
        host._start_sshd(["sshd"])


def test_boot_fails_when_the_network_was_not_wired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Recorded(tmp_path, "", disk=str(tmp_path), overlays=["/"], image=[])
    monkeypatch.setattr(init.Disk, "assemble", lambda _self, _image: None)
    monkeypatch.setattr(init, "mount_system", lambda _root, _logs: None)
    monkeypatch.setattr(host._control, "read", lambda: "go")
    with pytest.raises(init.BootError, match="did not send `wired`"):
        host.boot()
