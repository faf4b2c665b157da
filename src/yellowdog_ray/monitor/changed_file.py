"""Detects that another process has replaced or changed a file. Reads no content."""

from __future__ import annotations

from pathlib import Path


class ChangedFile:
    """A file that another `ray up` may write.

    Args:
        path: the file.

    Attributes:
        path: as given.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None

    def has_changed(self) -> bool:
        """Whether the file differs from the one at the last call, or this is the first. One `stat`.

        Raises:
            OSError: there is no such file.
        """
        found = self.path.stat()
        before, self._stamp = self._stamp, (found.st_mtime_ns, found.st_size, found.st_ino)
        return before != self._stamp
