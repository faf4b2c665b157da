"""Checks of the user's machine that the planted mistakes of tests/raydog_cli/test_doctor.py leave out."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from yellowdog_ray.commands import laptop_checks as checks
from yellowdog_ray.commands.laptop_checks import require_laptop
from yellowdog_ray.config.check import State
from yellowdog_ray.errors import ConfigError

AUTH = {"ssh_user": "yd-agent", "ssh_private_key": "/key"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """A program `ssh` that comes before the real one."""

    def make(script):
        (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return make


def test_good_machine_is_accepted_within_50_ms(home):
    """The least of some tries: the machine of the test may be busy."""
    require_laptop({**AUTH, "ssh_proxy_command": "ssh -W %h:%p b"}, keeps_token=True)
    spans = []
    for _ in range(5):
        started = time.process_time()
        require_laptop({**AUTH, "ssh_proxy_command": "ssh -W %h:%p b"}, keeps_token=True)
        spans.append(time.process_time() - started)

    assert min(spans) < 0.05


def test_every_failure_is_in_one_message(home, monkeypatch):
    (home / ".raydog").write_text("")
    monkeypatch.setenv("PATH", str(home))

    with pytest.raises(ConfigError) as caught:
        require_laptop(AUTH, keeps_token=True)

    message = str(caught.value)
    assert message.count("\n") == 2
    assert all(part in message for part in ("no `ssh`", "no `rsync`", ".raydog is no directory"))


def test_directory_for_tokens_is_only_missed_where_there_is_a_token(home):
    (home / ".raydog").write_text("")

    (own, _) = checks.check_directories(keeps_token=False)

    assert own.state is State.WARNING
    require_laptop(AUTH, keeps_token=False)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_directory_that_you_may_not_write_has_failed(home):
    home.chmod(0o500)
    own, _ = checks.check_directories(keeps_token=True)
    home.chmod(0o700)

    assert own.state is State.FAILED
    assert "run `chmod u+rwx " in own.text


def test_files_that_openssh_refuses_are_named_in_its_words(ssh):
    ssh("echo 'Bad owner or permissions on /home/me/.ssh/config' >&2; exit 255")

    check = checks.check_openssh(AUTH)

    assert check.state is State.FAILED
    assert "(Bad owner or permissions on /home/me/.ssh/config): correct the file that it names" in check.text


@pytest.mark.parametrize("user", ["-oLocalCommand=x", "a b", "u\0", None, 5])
def test_user_that_is_no_user_is_not_passed_to_openssh(user):
    assert checks.check_openssh({"ssh_user": user, "ssh_proxy_command": "x\0y"}).state is State.OK


def test_ssh_that_hangs_is_unchecked(ssh, monkeypatch):
    monkeypatch.setattr(checks, "_SECONDS", 0.05)
    ssh("exec sleep 60")

    assert checks.check_openssh(AUTH).state is State.UNCHECKED


@pytest.mark.parametrize(
    ("master", "length", "state"),
    [
        ("auto", 90, State.OK),
        ("auto", 91, State.FAILED),
        ("false", 107, State.OK),
        ("false", 108, State.FAILED),
    ],
)
def test_control_path_fits_a_unix_socket_with_openssh_suffix(ssh, master, length, state):
    ssh(f"echo controlmaster {master}; echo controlpath {'/' * length}")

    assert checks.check_openssh(AUTH).state is state


@pytest.mark.parametrize(
    ("command", "state"),
    [
        ("ssh -W %h:%p b", State.OK),
        ("exec ssh -W %h:%p b", State.OK),
        ("~/bin/tunnel %h", State.OK),
        ("$TUNNEL %h", State.OK),
        ("'ssh -W", State.FAILED),
        (" ", State.FAILED),
        ("/no/such/program %h", State.FAILED),
    ],
)
def test_proxy_program_is_judged_only_where_no_shell_would_expand_it(command, state):
    assert checks.check_proxy_program(command).state is state


def test_ray_of_this_environment_is_good_also_through_a_link(tmp_path, monkeypatch):
    here = Path(sys.executable).parent
    (tmp_path / "ray").symlink_to(here / "ray")
    for path in (here, tmp_path):
        monkeypatch.setenv("PATH", str(path))
        assert checks.check_installations() == []


def test_missing_ray_command_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    (check,) = checks.check_installations()

    assert check.state is State.WARNING
    assert "this shell finds no `ray`: activate the environment" in check.text


def test_programs_are_found(home):
    assert shutil.which("rsync")
    assert [check.state for check in checks.check_programs()] == [State.OK]
