"""Uploads of Ray's own command runner, with an rsync that hangs."""

import subprocess
import time

import click
import pytest
from ray.autoscaler._private.command_runner import SSHCommandRunner

from yellowdog_ray.remote import processes, ssh
from yellowdog_ray.remote.uploads import with_deadlines


class Provider:
    def internal_ip(self, node_id):
        return "10.9.8.7"


@pytest.fixture
def rsync(tmp_path, monkeypatch):
    """Makes the text the script that runs as `rsync`."""

    def make(text: str) -> None:
        (tmp_path / "rsync").write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "rsync").chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return make


@pytest.fixture
def runner():
    """Ray's command runner, with deadlines."""
    auth = {"ssh_user": "yd-agent", "ssh_private_key": "key"}
    return with_deadlines(SSHCommandRunner("", "head-1", Provider(), auth, "demo", subprocess, True))


def test_upload_of_ray_ends_at_its_deadline_when_rsync_hangs(runner, rsync, tmp_path, monkeypatch):
    monkeypatch.setattr(ssh, "UPLOAD_SECONDS", 0.5)
    monkeypatch.setattr(processes, "TERMINATION_SECONDS", 0.2)
    rsync("trap '' TERM; sleep 60; sleep 60")
    began = time.monotonic()

    with pytest.raises(click.ClickException, match="was not copied to there within"):
        runner.run_rsync_up(str(tmp_path / "rsync"), "there")

    assert time.monotonic() - began < 5


def test_upload_of_ray_runs_its_rsync_command(runner, rsync, tmp_path):
    rsync(f'echo "$@" > {tmp_path}/arguments')

    runner.run_rsync_up(str(tmp_path), "there", {"rsync_exclude": ["*.pyc"]})

    arguments = (tmp_path / "arguments").read_text()
    assert "--exclude *.pyc" in arguments
    assert "--timeout=120" in arguments, "it ends without this process too"
    assert arguments.endswith(f"{tmp_path} yd-agent@10.9.8.7:there\n")


def test_upload_of_ray_fails_when_its_rsync_fails(runner, rsync, tmp_path):
    rsync("exit 23")

    with pytest.raises(click.ClickException, match="SSH command failed"):
        runner.run_rsync_up(str(tmp_path), "there")


def test_command_of_ray_has_no_deadline_before_and_after_an_upload(runner, rsync, tmp_path):
    assert runner.process_runner is subprocess
    rsync("exit 0")

    runner.run_rsync_up(str(tmp_path), "there")

    assert runner.process_runner is subprocess
