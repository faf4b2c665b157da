"""Files and directories that only their owner can read. Imports nothing of this package."""

from __future__ import annotations

import os
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
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
    new.replace(file)
