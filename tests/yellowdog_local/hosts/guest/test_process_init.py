from __future__ import annotations

import io
import json
from typing import Any

import pytest

from yellowdog_local.hosts.guest import process_init
from yellowdog_local.hosts.guest.control import PlatformGoneError

SPEC: dict[str, Any] = {
    "log_directory": "/logs",
    "user_data_file": "/home/script",
    "agent": {"environment": {"A": "1", "PATH": "/bin"}, "paths": {"PATH": "/own"}},
}


class Pipe:
    """A platform that sends the specification and ends."""

    def __init__(self) -> None:
        self.lines = io.StringIO(json.dumps(SPEC) + "\n")
        self.events: list[dict[str, object]] = []

    def read(self) -> str:
        line = self.lines.readline()
        if not line:
            raise PlatformGoneError
        return line

    def send(self, **event: object) -> None:
        self.events.append(event)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    made = Pipe()
    monkeypatch.setattr(process_init, "Control", lambda: made)
    monkeypatch.setattr(process_init.os, "umask", lambda _mask: None)
    monkeypatch.setattr(process_init.signal, "signal", lambda *_handler: None)
    monkeypatch.setattr(process_init.marks, "wear", lambda _mark: None)
    monkeypatch.setattr(process_init, "_kill_all", lambda mark: made.events.append({"killed": mark}))
    return made


def test_everything_with_the_mark_is_killed_after_the_end_of_the_platform(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_init.ProcessInit, "boot", lambda _self: None)
    monkeypatch.setattr(process_init.ProcessInit, "serve", lambda _self: pipe.read())
    assert process_init.main(["disk", "7"]) == 0
    assert pipe.events == [{"event": "booted"}, {"killed": 7}]


def test_failed_boot_is_reported_and_cleaned_up(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: object) -> None:
        raise process_init.BootError("no sshd")

    monkeypatch.setattr(process_init.ProcessInit, "boot", fail)
    assert process_init.main(["disk", "7"]) == 1
    assert pipe.events == [{"event": "failed", "message": "no sshd"}, {"killed": 7}]


def test_scripts_and_agent_run_as_the_platforms_user() -> None:
    host = process_init.ProcessInit(SPEC, process_init.Control())
    assert (host.logs, host.user_data) == ("/logs", "/home/script")
    assert host._user_data_environment() == {"A": "1", "PATH": "/own"}
    assert host._agent_user() == {}
