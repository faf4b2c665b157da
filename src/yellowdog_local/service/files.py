"""Reads and writes files where other users may write too. Imports nothing of the platform.

Under `sudo` the platform runs as root in a directory of the caller's, and `--dir` and `--env-file` may name a directory
that everybody writes to. There another user may have put a link, or a file of their own, in the place of ours. So:

- no link is followed, for reading, writing, or changing the owner;
- files of ours belong to this user, to root, or to the caller of `sudo`; any other owner is refused;
- a file is written under an unpredictable name, and then moved to its place;
- only what this process has just created is given to the caller of `sudo`.
"""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
PUBLIC = 0o644


class UntrustedFileError(OSError):
    """You named a file that is a link, or that another user owns. Its `strerror` names the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(0, reason, str(path))


@dataclass(frozen=True)
class Owner:
    """A user and a group, by number."""

    uid: int
    gid: int


def sudo_caller() -> Owner | None:
    """The caller of `sudo`; None if this process is not root by `sudo`."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and uid.isdecimal() and gid.isdecimal():
        return Owner(int(uid), int(gid))
    return None


def check_owner(path: Path) -> None:
    """Check a file or directory that this process will use, if it exists.

    Raises:
        UntrustedFileError: it is a link, or another user owns it.
        OSError: it cannot be read.
    """
    try:
        _check(path, path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return


@contextmanager
def opened(path: Path, flags: int) -> Iterator[BinaryIO]:
    """Open a regular file of ours.

    Args:
        path: the file.
        flags: `os.O_RDONLY`, or `os.O_WRONLY` with `O_APPEND`; with `O_CREAT` it is created with mode 0644.

    Raises:
        UntrustedFileError: it is a link, no regular file, or another user owns it.
        OSError: it cannot be opened.
    """
    check_owner(path)  # for its message; the checks below decide
    # Not blocking: opening a pipe would wait for its other end.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, PUBLIC)
    with os.fdopen(descriptor, "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "wb") as file:
        found = os.fstat(descriptor)
        _check(path, found)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise UntrustedFileError(path, "it is no file of its own: remove it")
        yield file


def read_text(path: Path) -> str:
    """The text of a file of ours; see `opened` for errors."""
    with opened(path, os.O_RDONLY) as file:
        return file.read().decode("utf-8")


def write_text(path: Path, text: str, mode: int = PRIVATE, owner: Owner | None = None) -> None:
    """Replace or create a file: readers get the old text or the new one, other users neither.

    Args:
        path: the file; a link there is replaced, not followed.
        text: its new text.
        mode: its permissions.
        owner: its owner; this process's user, or the caller of `sudo`, by default.

    Raises:
        OSError: it cannot be written.
    """
    # O_CREAT | O_EXCL | O_NOFOLLOW, mode 0600, and a random name.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, mode)
            _give(descriptor, owner or sudo_caller())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def make_directories(path: Path) -> None:
    """Create a directory with its parents; each that did not exist is given to the caller of `sudo`.

    Raises:
        UntrustedFileError: the directory exists, and another user owns it.
        OSError: it cannot be created.
    """
    missing = [directory for directory in (path, *path.parents) if not os.path.lexists(directory)]
    for directory in reversed(missing):
        with suppress(FileExistsError):
            directory.mkdir()
            _give_directory(directory)
    check_owner(path)
    if not path.is_dir():
        raise NotADirectoryError(20, os.strerror(20), str(path))


def _give_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            _give(descriptor, sudo_caller())
    finally:
        os.close(descriptor)


def _give(descriptor: int, owner: Owner | None) -> None:
    if owner is not None:
        os.fchown(descriptor, owner.uid, owner.gid)


def _check(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise UntrustedFileError(path, "it is a link: name the file itself, or remove the link")
    caller = sudo_caller()
    trusted = {os.geteuid(), 0, *([caller.uid] if caller else [])}
    if found.st_uid not in trusted:
        raise UntrustedFileError(path, f"it belongs to {_user_name(found.st_uid)}, another user of this machine")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
