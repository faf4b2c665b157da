"""Checks of a machine for each kind of hosts: one sentence with the remedy."""

from __future__ import annotations

import grp
import pwd
import subprocess
from pathlib import Path
from typing import Any

import pytest

from yellowdog_local.hosts import prerequisites
from yellowdog_local.hosts.loopback import LoopbackError
from yellowdog_local.hosts.prerequisites import MissingRequirementError, check_namespace_hosts, check_process_hosts


def having(monkeypatch: pytest.MonkeyPatch, *, without: set[str], uid: int = 0, namespaces: bool = True) -> None:
    monkeypatch.setattr(prerequisites.shutil, "which", lambda name, path: None if name in without else f"/{name}")
    monkeypatch.setattr(prerequisites.os, "geteuid", lambda: uid)
    monkeypatch.setattr(prerequisites.sys, "platform", "linux")
    answer = subprocess.CompletedProcess([], 0 if namespaces else 1, "", "unshare: Operation not permitted\n")
    monkeypatch.setattr(prerequisites.subprocess, "run", lambda *_words, **_options: answer)


def test_machine_is_accepted_with_everything_present(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without={"redis-server"})  # valkey-server is as good

    check_namespace_hosts()


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without={"ip", "sshd", "redis-server", "valkey-server"})

    with pytest.raises(MissingRequirementError) as caught:
        check_namespace_hosts()
    assert "ip, sshd, redis-server or valkey-server" in str(caught.value)
    assert "apt-get install iproute2 openssh-server redis-server" in str(caught.value)


def test_message_names_sudo_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without=set(), uid=1000)

    with pytest.raises(MissingRequirementError, match="run the same command with sudo"):
        check_namespace_hosts()


def test_message_explains_missing_namespace_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without=set(), namespaces=False)

    with pytest.raises(MissingRequirementError, match=r"\(unshare: Operation not permitted\).*--privileged"):
        check_namespace_hosts()


def test_other_systems_than_linux_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, without=set())
    monkeypatch.setattr(prerequisites.sys, "platform", "darwin")

    with pytest.raises(MissingRequirementError, match="need Linux"):
        check_namespace_hosts()


def container(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    uid: int = 0,
    shell: str = "/bin/sh",
    shadow: str = "somebody:*:1::::::\n",
    capabilities: int = 0xA80425FB,  # Docker's
    tty: int = 5,
) -> None:
    """A machine with the privileges of a Docker container, or the given ones."""
    having(monkeypatch, without={"ip", "unshare"}, uid=uid, namespaces=False)
    account = pwd.struct_passwd(("somebody", "x", uid, uid, "", "/home", shell))
    monkeypatch.setattr(prerequisites, "current_user", lambda: account)
    (tmp_path / "shadow").write_text(shadow)
    monkeypatch.setattr(prerequisites, "_SHADOW", tmp_path / "shadow")
    monkeypatch.setattr(prerequisites, "_capabilities", lambda: capabilities)
    monkeypatch.setattr(prerequisites, "check_ssh_port", lambda: None)
    monkeypatch.setattr(prerequisites.grp, "getgrnam", lambda _name: grp.struct_group(("tty", "x", tty, [])))
    monkeypatch.setattr(prerequisites, "_group_of_terminals", lambda: 5)


@pytest.mark.parametrize("uid", [0, 1000])
def test_process_hosts_are_accepted_in_an_ordinary_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uid: int
) -> None:
    container(monkeypatch, tmp_path, uid=uid)

    assert check_process_hosts() == "somebody"


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ({"shell": "/usr/sbin/nologin"}, "may not log in .*usermod -s"),
        ({"shadow": "somebody:!:1::::::\n"}, r"is locked.*usermod -p '\*' somebody"),
        ({"capabilities": 0xA80425FB & ~(1 << 29)}, "--cap-add AUDIT_WRITE"),
        ({"capabilities": 0}, "SETGID, SETUID, SYS_CHROOT, AUDIT_WRITE"),
        ({"uid": 1000, "tty": 7}, "Mount /dev/pts with `gid=7`"),
    ],
)
def test_message_names_what_process_hosts_lack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: dict[str, Any], message: str
) -> None:
    container(monkeypatch, tmp_path, **machine)

    with pytest.raises(MissingRequirementError, match=message):
        check_process_hosts()


def test_user_without_an_account_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    container(monkeypatch, tmp_path, uid=4242)
    monkeypatch.setattr(prerequisites, "current_user", lambda: None)

    with pytest.raises(MissingRequirementError, match="account for user id 4242"):
        check_process_hosts()


def test_unusable_ssh_port_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse() -> None:
        raise LoopbackError("port 22 is not for you")

    container(monkeypatch, tmp_path)
    monkeypatch.setattr(prerequisites, "check_ssh_port", refuse)
    with pytest.raises(MissingRequirementError, match="port 22 is not for you"):
        check_process_hosts()
