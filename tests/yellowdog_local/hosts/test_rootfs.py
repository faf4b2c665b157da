"""The image of namespace hosts, as data."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from yellowdog_local.hosts import rootfs
from yellowdog_local.hosts.rootfs import Image, ImageError, own_files, prepare


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> Image:
    before = Path("/etc/passwd").stat().st_mtime
    monkeypatch.setattr(rootfs, "_with_account", lambda _path, line: line + "\n")
    monkeypatch.setattr(rootfs, "_mode", lambda _path: 0o600)
    made = prepare(Path("/var/lib/somewhere/local"), "ssh-ed25519 KEY me\n\n", "PRIVATE HOST KEY\n")
    assert Path("/etc/passwd").stat().st_mtime == before
    return made


def entry(image: Image, path: str) -> dict[str, Any]:
    [found] = [each for each in image.entries if each["path"] == path]
    return found


def test_account_accepts_keys_and_owns_no_file_of_the_machine(image: Image) -> None:
    assert image.uid == image.gid >= 61500
    assert entry(image, "/etc/shadow")["text"].startswith("yd-agent:*:")
    assert entry(image, "/etc/passwd")["text"] == (
        f"yd-agent:x:{image.uid}:{image.gid}:YellowDog agent:/opt/yellowdog/agent:/bin/bash\n"
    )


def test_sshd_accepts_the_given_key_and_no_password(image: Image) -> None:
    keys = entry(image, "/opt/yellowdog/agent/.ssh/authorized_keys")

    assert keys["text"] == "ssh-ed25519 KEY me\n"
    assert (keys["mode"], keys["uid"]) == (0o600, image.uid)
    config = entry(image, "/etc/ssh/sshd_config")["text"].splitlines()
    assert {"UsePAM no", "PasswordAuthentication no", "PermitRootLogin no"} <= set(config)
    assert entry(image, "/etc/ssh/raydog_host_key")["mode"] == 0o600


def test_names_are_resolved_from_files_only(image: Image) -> None:
    assert entry(image, "/etc/resolv.conf")["text"] == ""
    assert "hosts: files\n" in entry(image, "/etc/nsswitch.conf")["text"]


def test_platform_directory_is_hidden(image: Image) -> None:
    assert entry(image, "/var/lib/somewhere/local") == {"path": "/var/lib/somewhere/local", "absent": True}


def test_entries_list_parents_first(image: Image) -> None:
    depths = [each["path"].count("/") for each in image.entries]

    assert depths == sorted(depths)


def test_own_files_hold_the_hosts_name_and_the_agents_token(image: Image) -> None:
    files = {each["path"]: each for each in own_files(image, "i-1", "10.0.0.2", '{"token": "t"}')}

    assert files["/etc/hosts"]["text"].splitlines()[-1] == "10.0.0.2 i-1"
    assert files["/opt/yellowdog/agent/agent.json"]["mode"] == 0o600
    assert files["/opt/yellowdog/agent/agent.json"]["uid"] == image.uid


def test_account_replaces_one_of_the_same_name(tmp_path: Path) -> None:
    file = tmp_path / "passwd"
    file.write_text("root:x:0:0::/root:/bin/sh\nyd-agent:x:7:7::/:/bin/false\nyd-agent2:x:8:8::/:/bin/sh\n")

    assert rootfs._with_account(str(file), "yd-agent:new") == (
        "root:x:0:0::/root:/bin/sh\nyd-agent2:x:8:8::/:/bin/sh\nyd-agent:new\n"
    )


def test_closed_directories_above_python_become_searchable_only(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "venv").mkdir(parents=True)
    closed.chmod(0o700)

    assert closed in rootfs._closed_parents([closed / "venv"])
    passable = rootfs._passable(closed)
    assert (passable["path"], passable["mode"], passable["opaque"]) == (str(closed), 0o711, False)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_path_below_a_hidden_directory_gets_its_own_overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "hidden" / "venv"
    (hidden / "inner").mkdir(parents=True)
    monkeypatch.setattr(rootfs, "HIDDEN", (str(tmp_path / "hidden"),))
    monkeypatch.setattr(rootfs, "SYSTEM", ())

    assert rootfs._overlays([hidden, hidden / "inner"]) == [str(hidden)]


def test_unreadable_environment_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(rootfs.sysconfig, "get_path", lambda _name: str(tmp_path))

    with pytest.raises(ImageError, match=r"cannot be read by other users.*chmod -R go"):
        rootfs._check_readable(Path("/opt/python"))
