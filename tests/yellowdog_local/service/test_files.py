"""Files where other users may write: links are not followed, others' files are refused, secrets are never readable."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from yellowdog_local.service import files
from yellowdog_local.service.directory import LocalPlatformError, PlatformDirectory, write_env_file

CALLER, STRANGER = 65534, 65533
LINES = {"YD_API_URL": "http://127.0.0.1:1", "YD_API_KEY_SECRET": "secret"}
# What the platform itself creates in its directory.
NAMES = ("credentials.json", "id_ed25519", "id_ed25519.pub", "state.json", "lock", "platform.log", "hosts", "disks")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@pytest.fixture
def sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is root by `sudo` of another user."""
    monkeypatch.setenv("SUDO_UID", str(CALLER))
    monkeypatch.setenv("SUDO_GID", str(CALLER))


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """The target of another user's link."""
    file = tmp_path / "victim"
    file.write_text("OTHER=1\n")
    return file


def state(path: Path) -> tuple[int, str]:
    return path.stat().st_uid, path.read_text()


class TestEnvFile:
    def test_link_is_refused_and_its_target_stays_as_it_is(self, tmp_path: Path, victim: Path) -> None:
        link = tmp_path / ".env"
        link.symlink_to(victim)
        before = state(victim)
        with pytest.raises(LocalPlatformError, match=r"\.env cannot be written: it is a link"):
            write_env_file(link, LINES)
        assert state(victim) == before
        assert link.is_symlink()

    def test_hard_link_is_refused(self, tmp_path: Path, victim: Path) -> None:
        (tmp_path / ".env").hardlink_to(victim)
        with pytest.raises(LocalPlatformError, match="it is no file of its own"):
            write_env_file(tmp_path / ".env", LINES)
        assert victim.read_text() == "OTHER=1\n"

    def test_pipe_is_refused_without_waiting_for_its_other_end(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / ".env")
        with pytest.raises(LocalPlatformError, match="it is no file of its own"):
            write_env_file(tmp_path / ".env", LINES)

    def test_secret_is_written_under_an_unpredictable_name(
        self, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The name that was used before: whoever put a link there received the secret.
        (tmp_path / f"..env.{os.getpid()}").symlink_to(victim)
        opened: list[tuple[str, int]] = []
        real_open = os.open

        def watched(path: str, flags: int, mode: int = 0o777, **options: int) -> int:
            opened.append((os.fspath(path), flags))
            return real_open(path, flags, mode, **options)

        monkeypatch.setattr(os, "open", watched)
        for _ in range(2):
            write_env_file(tmp_path / ".env", LINES)
        written = [(path, flags) for path, flags in opened if flags & os.O_ACCMODE]
        assert len({path for path, _ in written}) == 2
        assert all(flags & os.O_EXCL and flags & os.O_NOFOLLOW for _, flags in written)
        assert victim.read_text() == "OTHER=1\n"

    def test_nothing_is_left_when_the_file_cannot_be_replaced(self, tmp_path: Path) -> None:
        (tmp_path / ".env").mkdir()
        with pytest.raises(LocalPlatformError):
            write_env_file(tmp_path / ".env", LINES)
        assert list(tmp_path.iterdir()) == [tmp_path / ".env"]

    @needs_root
    @pytest.mark.usefixtures("sudo")
    def test_file_belongs_to_the_caller_of_sudo(self, tmp_path: Path) -> None:
        write_env_file(tmp_path / ".env", LINES)
        found = (tmp_path / ".env").stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (CALLER, CALLER, 0o600)

    @needs_root
    @pytest.mark.usefixtures("sudo")
    def test_file_keeps_its_owner(self, tmp_path: Path, victim: Path) -> None:
        write_env_file(victim, LINES)
        assert state(victim)[0] == 0
        assert victim.read_text().startswith("OTHER=1\nYD_API_URL=")
        assert list(tmp_path.iterdir()) == [victim]

    @needs_root
    def test_file_of_another_user_is_refused(self, victim: Path) -> None:
        os.chown(victim, STRANGER, STRANGER)
        with pytest.raises(LocalPlatformError, match="belongs to user 65533, another user of this machine"):
            write_env_file(victim, LINES)
        assert victim.read_text() == "OTHER=1\n"


@needs_root
@pytest.mark.usefixtures("sudo")
class TestDirectoryUnderSudo:
    def test_created_file_belongs_to_the_caller(self, tmp_path: Path) -> None:
        place = PlatformDirectory(tmp_path / "above" / "place")
        place.prepare()
        assert tmp_path.stat().st_uid == 0
        created = [tmp_path / "above", place.path, place.ssh_key, place.ssh_key.with_suffix(".pub")]
        assert {path.stat().st_uid for path in (*created, place.path / "credentials.json")} == {CALLER}
        assert stat.S_IMODE(place.ssh_key.stat().st_mode) == 0o600
        assert stat.S_IMODE(place.ssh_key.with_suffix(".pub").stat().st_mode) == 0o644

    @pytest.mark.parametrize("name", NAMES)
    def test_link_is_refused_and_its_target_keeps_its_owner(self, tmp_path: Path, victim: Path, name: str) -> None:
        place = PlatformDirectory(tmp_path / "place")
        place.path.mkdir()
        (place.path / name).symlink_to(victim)
        with pytest.raises(LocalPlatformError, match=f"{name} cannot be used: it is a link"):
            place.prepare()
        assert state(victim) == (0, "OTHER=1\n")

    def test_key_that_exists_keeps_its_owner(self, tmp_path: Path) -> None:
        # As where the directory is a link to root's own ~/.ssh.
        target = tmp_path / "root-ssh"
        target.mkdir()
        (target / "id_ed25519").write_text("root's own key")
        (tmp_path / "place").symlink_to(target)
        PlatformDirectory(tmp_path / "place").prepare()
        assert state(target / "id_ed25519") == (0, "root's own key")
        assert target.stat().st_uid == 0


@needs_root
class TestOwnerInASharedDirectory:
    @pytest.mark.parametrize(
        "use",
        [PlatformDirectory.prepare, PlatformDirectory.api_key, PlatformDirectory.running, PlatformDirectory.is_running],
    )
    def test_directory_of_another_user_is_refused(
        self, tmp_path: Path, use: Callable[[PlatformDirectory], object]
    ) -> None:
        place = PlatformDirectory(tmp_path / "place")
        place.prepare()
        os.chown(place.path, STRANGER, STRANGER)
        with pytest.raises(LocalPlatformError, match="place cannot be used: it belongs to user 65533"):
            use(place)

    @pytest.mark.parametrize("name", NAMES)
    def test_file_of_another_user_is_refused(self, tmp_path: Path, name: str) -> None:
        place = PlatformDirectory(tmp_path / "place")
        place.path.mkdir()
        (place.path / name).touch()
        os.chown(place.path / name, STRANGER, STRANGER)
        with pytest.raises(LocalPlatformError, match=f"{name} cannot be used: it belongs to user 65533"):
            place.prepare()

    def test_state_of_another_user_does_not_choose_where_the_key_is_sent(self, tmp_path: Path) -> None:
        place = PlatformDirectory(tmp_path / "place")
        place.prepare()
        with place.locked():
            place.write_state("http://127.0.0.1:1")
            os.chown(place.path / "state.json", STRANGER, STRANGER)
            with pytest.raises(LocalPlatformError, match=r"state\.json cannot be used: it belongs to user 65533"):
                place.running()


class TestLog:
    def test_log_does_not_follow_a_link(self, tmp_path: Path, victim: Path) -> None:
        place = PlatformDirectory(tmp_path / "place")
        place.prepare()
        place.log.symlink_to(victim.with_name("missing"))  # a link to nothing: renaming it aside is no defence
        with pytest.raises(files.UntrustedFileError), place.new_log():
            pytest.fail("the link was followed")
        assert not victim.with_name("missing").exists()

    def test_log_of_the_run_before_is_kept(self, tmp_path: Path) -> None:
        place = PlatformDirectory(tmp_path / "place")
        place.prepare()
        for text in (b"first", b"second"):
            with place.new_log() as log:
                log.write(text)
        assert (place.log.read_bytes(), place.log.with_name("platform.log.1").read_bytes()) == (b"second", b"first")
