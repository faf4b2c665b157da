"""Files that only their owner can read."""

import os
import resource
import signal

import pytest

from yellowdog_ray.private_file import read_private, shorten_private, write_private


def test_written_file_is_private_whatever_the_umask(tmp_path):
    file = tmp_path / "token"
    before = os.umask(0)
    try:
        write_private(file, b"secret")
    finally:
        os.umask(before)

    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"secret", 0o600)


def test_written_file_replaces_an_open_one_and_a_link(tmp_path):
    """A link at either name leads nowhere: the target keeps its content."""
    target, file = tmp_path / "target", tmp_path / "token"
    target.write_text("others'")
    file.symlink_to(target)
    (tmp_path / "token.new").symlink_to(target)

    write_private(file, b"secret")

    assert (target.read_text(), file.read_bytes(), file.is_symlink()) == ("others'", b"secret", False)


def test_failed_write_leaves_the_old_file_alone(tmp_path):
    """The space of a full disk is free again."""
    file = tmp_path / "jobs"
    write_private(file, b"old")
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, most[1]))
    try:
        with pytest.raises(OSError):
            write_private(file, b"content")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
        signal.signal(signal.SIGXFSZ, handler)

    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("jobs", b"old")]


def test_shortened_file_stays_the_same_private_file(tmp_path):
    file = tmp_path / "jobs"
    write_private(file, b"long content")
    before = file.stat()

    shorten_private(file, b"short")

    assert file.read_bytes() == b"short"
    assert (file.stat().st_ino, file.stat().st_mode) == (before.st_ino, before.st_mode)


def test_link_and_missing_file_are_not_shortened(tmp_path):
    target = tmp_path / "target"
    target.write_text("others'")
    (tmp_path / "link").symlink_to(target)

    for name in ("link", "missing"):
        with pytest.raises(OSError):
            shorten_private(tmp_path / name, b"")
    assert target.read_text() == "others'"


class TestReading:
    """Only what this user alone can have written is read."""

    @pytest.fixture
    def file(self, tmp_path):
        file = tmp_path / "jobs"
        write_private(file, b"content")
        return file

    def test_own_file_is_read_up_to_its_limit(self, file):
        assert read_private(file, 7) == b"content"
        with pytest.raises(ValueError, match="more than 6 bytes"):
            read_private(file, 6)

    @pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602])
    def test_file_that_others_may_use_is_refused(self, file, mode):
        file.chmod(mode)

        with pytest.raises(PermissionError):
            read_private(file, 100)

    def test_file_of_another_user_is_refused(self, file, monkeypatch):
        monkeypatch.setattr("os.geteuid", lambda: file.stat().st_uid + 1)

        with pytest.raises(PermissionError):
            read_private(file, 100)

    def test_link_pipe_and_directory_are_refused(self, file, tmp_path):
        (tmp_path / "link").symlink_to(file)
        os.mkfifo(tmp_path / "pipe", 0o600)

        for name in ("link", "pipe", "."):
            with pytest.raises(OSError):
                read_private(tmp_path / name, 100)
