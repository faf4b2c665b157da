"""The user's extra files on the head."""

from collections.abc import Callable

import pytest

from yellowdog_ray.commands.deliver import upload_files
from yellowdog_ray.remote.ssh import SshTarget


def test_listed_files_keep_their_relative_path_below_home(monkeypatch):
    uploaded: dict[str, str] = {}
    target = recording_target(monkeypatch, uploaded)

    upload_files(target, ["scripts/a.sh", "/etc/b.conf", "../c.txt"])

    assert uploaded == {"scripts/a.sh": "scripts/a.sh", "b.conf": "/etc/b.conf", "c.txt": "../c.txt"}


def test_mapped_files_are_copied_to_the_given_remote_paths(monkeypatch):
    uploaded: dict[str, str] = {}
    target = recording_target(monkeypatch, uploaded)

    upload_files(target, {"~/data/x": "x", "/opt/y": "y"})

    assert uploaded == {"data/x": "x", "/opt/y": "y"}


def recording_target(monkeypatch: pytest.MonkeyPatch, uploaded: dict[str, str]) -> SshTarget:
    record: Callable[..., None] = lambda self, local, remote: uploaded.__setitem__(remote, local)  # noqa: E731
    monkeypatch.setattr(SshTarget, "upload", record)
    return SshTarget("yd-agent", "10.0.0.1", "key", "head-1")
