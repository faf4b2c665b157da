"""Files and directories that only their owner can read. Imports nothing of this package."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a directory and its missing parents with mode 0700, whatever the umask; set the mode of one that exists.

    Raises:
        OSError: it could not be made.
    """
    if not folder.parent.exists():
        make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


def write_private(file: Path, content: bytes) -> None:
    """Write a file of mode 0600, atomically: a reader gets the old content or the new.

    Args:
        file: the file; its directory exists.
        content: its content.

    Raises:
        OSError: it could not be written.
    """
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(content)
        new.replace(file)
    except OSError:  # a full disk gets its space back
        new.unlink(missing_ok=True)
        raise


def shorten_private(file: Path, content: bytes) -> None:
    """Replace the content of a file in its place, where a full disk has no space for another file. Not atomic.

    Args:
        file: the file, which exists.
        content: its content, shorter than before.

    Raises:
        OSError: it could not be written.
    """
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_NOFOLLOW), "wb") as out:
        out.write(content)
        out.truncate(len(content))


def read_private(file: Path, most: int) -> bytes:
    """Read a file that no other user can have written or read.

    Args:
        file: the file.
        most: its size in bytes at most.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read, or is no regular file of mode 0600 or stricter that belongs to this user.
        ValueError: it is larger.
    """
    # O_NONBLOCK: another user's named pipe must not block.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
        state = os.fstat(opened.fileno())
        is_own = stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & 0o077
        if not is_own:
            raise PermissionError(f"{file} is no file that only this user can read")
        content = opened.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{file} has more than {most} bytes")
    return content
