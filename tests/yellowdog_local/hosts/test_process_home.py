"""The files of a process host before its first process starts."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from yellowdog_local.hosts import process_home
from yellowdog_local.hosts.process_home import ProcessHome, create, temporary_root


@pytest.fixture
def place(tmp_path: Path) -> ProcessHome:
    made = ProcessHome(
        disk=tmp_path / "a disk's",
        temporary=tmp_path / "temporary",
        logs=tmp_path / "logs",
        address="127.9.8.7",
        mark=12345,
        user="somebody",
    )
    create(made, "ssh-ed25519 AAAA key", "a host key", {"token": "secret"})
    return made


def test_secret_files_are_readable_by_the_owner_only(place: ProcessHome) -> None:
    for path in (place.agent_config, place.etc / "host_key", place.temporary):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_sshd_listens_on_the_hosts_address_and_accepts_keys_only(place: ProcessHome) -> None:
    lines = place.sshd_config.read_text().splitlines()

    assert [line for line in lines if "Listen" in line or "Port" in line] == ["ListenAddress 127.9.8.7:22"]
    assert {"AllowUsers somebody", "PasswordAuthentication no", "PermitRootLogin prohibit-password"} <= set(lines)


def test_login_has_the_hosts_environment_for_any_path(place: ProcessHome) -> None:
    command = 'pwd; echo "$TMPDIR $USER $YD_AGENT_DATA"'
    done = subprocess.run(
        [str(place.etc / "login")],
        env={"SSH_ORIGINAL_COMMAND": command, "HOME": "/root", "USER": "else"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [str(place.home), f"{place.temporary} somebody {place.data}"]


def test_host_python_has_its_own_environment_and_the_platforms_packages(place: ProcessHome) -> None:
    code = "import sys, yellowdog_local, pydantic, raydog_process_view; print(sys.prefix)"
    done = subprocess.run([str(place.python), "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str(place.home / "venv")


def test_scripts_of_the_platforms_environment_run_with_the_hosts_python(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    (theirs / "python3").touch()
    (theirs / "plain").write_text(f"#!{theirs}/python3\nprint()\n")
    (theirs / "long").write_text(f"#!/bin/sh\n'''exec' {theirs}/python3 \"$0\" \"$@\"\n' '''\n")
    (theirs / "binary").write_bytes(b"\x7fELF")
    process_home._add_scripts(theirs, ours)

    assert (ours / "plain").read_text() == f"#!{ours}/python\nprint()\n"
    assert f"exec' {ours}/python " in (ours / "long").read_text()
    assert (ours / "binary").readlink() == theirs / "binary"


def test_temporary_directory_is_short_enough_for_rays_sockets() -> None:
    session = "ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.123"

    assert len(str(temporary_root(Path("/a/very/long" * 20)) / "4094" / session)) <= 107
