"""What a machine lacks for namespace hosts is one sentence that says how to get it."""

from __future__ import annotations

import subprocess

import pytest

from yellowdog_local.hosts import requirements
from yellowdog_local.hosts.requirements import MissingRequirementError, check_hosts


def having(monkeypatch: pytest.MonkeyPatch, *, without: set[str], uid: int = 0, namespaces: bool = True) -> None:
    monkeypatch.setattr(requirements.shutil, "which", lambda name, path: None if name in without else f"/{name}")
    monkeypatch.setattr(requirements.os, "geteuid", lambda: uid)
    monkeypatch.setattr(requirements.sys, "platform", "linux")
    answer = subprocess.CompletedProcess([], 0 if namespaces else 1, "", "unshare: Operation not permitted\n")
    monkeypatch.setattr(requirements.subprocess, "run", lambda *_words, **_options: answer)


def test_a_machine_with_everything_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without={"redis-server"})  # valkey-server is as good

    check_hosts()


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without={"ip", "sshd", "redis-server", "valkey-server"})

    with pytest.raises(MissingRequirementError) as caught:
        check_hosts()
    assert "ip, sshd, redis-server or valkey-server" in str(caught.value)
    assert "apt-get install iproute2 openssh-server redis-server" in str(caught.value)


def test_another_user_than_root_is_told_to_use_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without=set(), uid=1000)

    with pytest.raises(MissingRequirementError, match="run the same command with sudo"):
        check_hosts()


def test_a_container_that_may_make_no_namespaces_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without=set(), namespaces=False)

    with pytest.raises(MissingRequirementError, match=r"\(unshare: Operation not permitted\).*--privileged"):
        check_hosts()


def test_another_system_than_linux_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without=set())
    monkeypatch.setattr(requirements.sys, "platform", "darwin")

    with pytest.raises(MissingRequirementError, match="need Linux"):
        check_hosts()
