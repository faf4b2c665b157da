"""The platform's directory: keys, lock and state."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from yellowdog_local.service import directory as directory_module
from yellowdog_local.service.directory import (
    LocalPlatformError,
    PlatformDirectory,
    default_directory,
    write_env_file,
)


@pytest.fixture
def place(tmp_path: Path) -> PlatformDirectory:
    made = PlatformDirectory(tmp_path / "place")
    made.prepare()
    return made


def test_keys_are_created_once_and_private(place: PlatformDirectory) -> None:
    key, ssh = place.api_key(), place.public_key()
    place.prepare()

    assert (place.api_key(), place.public_key()) == (key, ssh)
    assert len(key.secret) >= 32
    assert ssh.startswith("ssh-ed25519 ")
    for path in (place.path / "credentials.json", place.ssh_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secret_is_absent_from_the_repr(place: PlatformDirectory) -> None:
    assert place.api_key().secret not in repr(place.api_key())


def test_another_directory_has_other_keys(place: PlatformDirectory, tmp_path: Path) -> None:
    other = PlatformDirectory(tmp_path / "other")
    other.prepare()

    assert other.api_key() != place.api_key()


def test_api_key_fails_with_the_remedy_when_damaged_or_missing(place: PlatformDirectory) -> None:
    credentials = place.path / "credentials.json"
    credentials.write_text("{")
    with pytest.raises(LocalPlatformError, match="damaged: remove it"):
        place.api_key()
    credentials.unlink()
    with pytest.raises(LocalPlatformError, match="`raydog local start` creates one"):
        place.api_key()


def test_prepare_fails_when_the_directory_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(LocalPlatformError, match="choose another with --dir"):
        PlatformDirectory(tmp_path / "file" / "below").prepare()


def test_only_one_platform_holds_the_directory(place: PlatformDirectory) -> None:
    assert not place.is_running()
    with place.locked():
        state = place.write_state("http://10.0.0.1:1")

        assert place.is_running()
        assert place.running() == state
        with pytest.raises(LocalPlatformError, match=r"runs already in .* at http://10\.0\.0\.1:1"), place.locked():
            pytest.fail("two hold it")
    assert not place.is_running()


def test_state_of_a_killed_platform_is_ignored(place: PlatformDirectory) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from yellowdog_local.service.directory import PlatformDirectory\n"
        "place = PlatformDirectory(Path(sys.argv[1]))\n"
        "with place.locked():\n"
        "    place.write_state('http://10.0.0.1:1'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(place.path)], check=False)

    assert json.loads((place.path / "state.json").read_text())["url"] == "http://10.0.0.1:1"
    assert not place.is_running()
    assert place.running() is None


def test_starting_platform_has_no_state(place: PlatformDirectory) -> None:
    with place.locked():
        assert place.running() is None
        assert "is starting or stopping" in place.already_running()


def test_env_lines_are_those_that_clients_read(place: PlatformDirectory) -> None:
    key = place.api_key()

    assert place.env_lines("http://10.0.0.1:1") == {
        "YD_API_URL": "http://10.0.0.1:1",
        "YD_API_KEY_ID": key.key_id,
        "YD_API_KEY_SECRET": key.secret,
    }


def test_env_file_keeps_its_other_lines_and_becomes_private(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("OTHER=1\nexport YD_API_URL=old\n# words\nYD_API_KEY_ID = old\n")

    write_env_file(file, {"YD_API_URL": "new", "YD_API_KEY_ID": "id"})

    assert file.read_text() == "OTHER=1\n# words\nYD_API_URL=new\nYD_API_KEY_ID=id\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_env_file_fails_when_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(LocalPlatformError, match="cannot be written"):
        write_env_file(tmp_path / "none" / ".env", {"A": "b"})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be there by sudo")
def test_files_belong_to_the_caller_under_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "nobody")
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    made = PlatformDirectory(tmp_path / "place")
    made.prepare()

    home = directory_module.pwd.getpwnam("nobody").pw_dir
    assert default_directory() == Path(home, ".raydog", "local")
    assert made.ssh_key.stat().st_uid == 65534
    assert (made.path / "credentials.json").stat().st_uid == 65534


def test_default_directory_is_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")

    assert default_directory() == Path("/home/somebody/.raydog/local")
