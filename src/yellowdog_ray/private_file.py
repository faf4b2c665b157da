"""Writes files that only their owner can read. Imports nothing of this package."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(file: Path, content: bytes) -> None:
    """Write a file of mode 0600, atomically: a reader sees the old content or the new.

    Args:
        file: the file; its folder exists.
        content: its content.

    Raises:
        OSError: it could not be written.
    """
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
    new.replace(file)
