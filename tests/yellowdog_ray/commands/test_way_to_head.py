"""The proxy command, run against this machine's own loopback interface: what each of its ends means."""

import socket
import threading

import pytest

from yellowdog_ray.commands.way_to_head import check_way, expanded
from yellowdog_ray.config.check import State


def way(command: str | None, *, private: bool = False, named: bool = False, seconds: float = 5.0):
    auth = {"ssh_user": "yd-agent", "ssh_proxy_command": command, "ssh_proxy_use_node_id": named}
    return check_way(auth, private=private, seconds=seconds)


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """Puts a program `ssh` first on PATH, which ends as a real one would; returns its maker."""

    def make(script: str) -> str:
        (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ssh").chmod(0o755)
        return "ssh -W %h:%p me@bastion"

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return make


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ssh -W %h:%p %r@b", "ssh -W 127.0.0.1:22 me@b"),
        ("nc %h %p", "nc 127.0.0.1 22"),
        ("x 100%% %n %%h", "x 100% 127.0.0.1 %h"),
        ("x %", "x %"),
        ("x %C", "x %C"),
    ],
)
def test_tokens_are_replaced_as_openssh_does(command, expected):
    assert expanded(command, "127.0.0.1", "me") == expected


def test_command_that_reaches_an_ssh_server_is_good(ssh):
    check = way(ssh('[ "$2" = 127.0.0.1:22 ] && printf "SSH-2.0-x" && exec sleep 60'))

    assert (check.state, check.text) == (State.OK, "auth.ssh_proxy_command connects to an SSH server")


def test_bastion_that_refuses_only_the_address_has_been_reached(ssh):
    check = way(ssh("echo 'channel 0: open failed: connect failed: Connection refused' >&2; exit 255"))

    assert check.state is State.OK
    assert "logs in to its host" in check.text


@pytest.mark.parametrize(
    "reason", ["ssh: connect to host bastion port 22: Connection refused", "me@bastion: Permission denied (publickey)."]
)
def test_bastion_that_cannot_be_reached_has_failed_in_openssh_words(ssh, reason):
    check = way(ssh(f"echo '{reason}' >&2; exit 255"))

    assert check.state is State.FAILED
    assert f"ended with exit code 255 ({reason}): run that command by itself" in check.text


def test_silent_bastion_has_failed_in_time(ssh):
    check = way(ssh("exec sleep 60"), seconds=0.1)

    assert check.state is State.FAILED
    assert "has not connected within 0.1 s: check that this machine reaches the host" in check.text


def test_program_that_cannot_be_run_has_failed():
    check = way("no-such-program-of-raydog %h")

    assert check.state is State.FAILED
    assert "exit code 127" in check.text


def test_other_command_that_ends_gives_a_warning():
    check = way("sh -c 'echo refused >&2; exit 3'")

    assert check.state is State.WARNING
    assert "ended with exit code 3 (refused)" in check.text


def test_command_that_needs_a_node_id_is_not_judged_by_its_end():
    assert way("sh -c 'exit 3'", named=True).state is State.UNCHECKED


@pytest.mark.parametrize(("private", "where"), [(True, "private address"), (False, "public address")])
def test_direct_way_is_not_checked_before_there_is_a_head(private, where):
    check = way(None, private=private)

    assert check.state is State.UNCHECKED
    assert where in check.text


@pytest.mark.parametrize("command", [" ", "a\0b", 5])
def test_value_that_is_no_command_is_not_run(command):
    assert way(command).state is State.UNCHECKED


def test_command_cannot_prompt(tmp_path, monkeypatch):
    """Its input stays open, it has no terminal, and nothing asks in a window."""
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")

    check = way('sh -c "test $SSH_ASKPASS_REQUIRE = never && printf SSH-"')

    assert check.state is State.OK


def test_command_through_a_real_connection_is_good():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=lambda: server.accept()[0].sendall(b"SSH-2.0-test\r\n"))
        thread.start()

        check = way(f"bash -c 'exec 3<>/dev/tcp/%h/{port}; head -c 12 <&3'")
        thread.join()

    assert check.state is State.OK
