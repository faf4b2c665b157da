"""Reads the local platform's log files, and follows them as they grow. Does not parse them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from yellowdog_local.service.directory import LocalPlatformError, PlatformDirectory

# In boot order.
HOST_LOGS = ("init.log", "userdata.log", "sshd.log", "agent.log")
POLL_SECONDS = 0.2


def platform_files(directory: PlatformDirectory) -> list[Path]:
    """The platform's own log.

    Raises:
        LocalPlatformError: there is none.
    """
    if not directory.log.exists():
        raise LocalPlatformError(f"there is no log in {directory.path}: `raydog local start` starts a platform there")
    return [directory.log]


def host_files(directory: PlatformDirectory, instance: str) -> list[Path]:
    """A host's logs, and its tasks' output.

    Raises:
        LocalPlatformError: there are no logs of such a host.
    """
    place = directory.hosts / instance
    if instance in ("", ".", "..") or "/" in instance or not place.is_dir():
        known = sorted(path.name for path in directory.hosts.glob("*"))
        raise LocalPlatformError(
            f"there are no logs of a host {instance!r}; there are logs of: {', '.join(known[-20:]) or 'no host yet'}"
        )
    own = [place / name for name in HOST_LOGS if (place / name).exists()]
    return own + sorted((place / "tasks").glob("*.txt"), key=lambda path: path.lstat().st_mtime)


def task_files(directory: PlatformDirectory, task_id: str) -> list[Path]:
    """A task's output on all hosts, one file per attempt.

    Raises:
        LocalPlatformError: no such task has run.
    """
    name = task_id.replace(":", "_")
    files = [path for path in directory.hosts.glob("*/tasks/*.txt") if _is_of_task(path.stem, name)]
    if not files:
        raise LocalPlatformError(
            f"no task with the id {task_id!r} has run on this platform's hosts (an id looks like ydid:task:...; "
            f"`raydog local status` lists the running tasks)"
        )
    return sorted(files, key=lambda path: path.lstat().st_mtime)


def _opened(path: Path) -> BinaryIO:
    """A log file, opened for reading. Tasks write to some of them: a link of theirs is not followed.

    Raises:
        LocalPlatformError: it is a link, or cannot be read.
    """
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise LocalPlatformError(f"{path} cannot be read: {reason}") from error


def _is_of_task(stem: str, name: str) -> bool:
    base, _, attempt = stem.partition("-attempt-")
    return base == name and (not attempt or attempt.isdigit())


@dataclass
class Reader:
    """Reads several files as one log, with a heading at each change of file.

    Args:
        list_files: lists the files; called repeatedly while following, because files are added.
        last_lines: number of last lines of each file to begin with; None for all.
    """

    list_files: Callable[[], list[Path]]
    last_lines: int | None = None
    _offsets: dict[Path, int] = field(default_factory=dict)
    _last_shown: Path | None = None

    def past(self) -> Iterator[str]:
        """The text of the files up to now."""
        files = self.list_files()
        for path in files:
            with _opened(path) as file:
                data = file.read()
            self._offsets[path] = len(data)
            lines = data.decode("utf-8", "replace").splitlines(keepends=True)
            shown = lines if self.last_lines is None else lines[max(0, len(lines) - self.last_lines) :]
            yield from self._headed(path, "".join(shown), several=len(files) > 1)

    def growth(self) -> Iterator[str]:
        """The text that was added since the last call."""
        files = self.list_files()
        for path in files:
            offset = self._offsets.get(path, 0)
            with _opened(path) as file:
                if os.fstat(file.fileno()).st_size < offset:  # a restart has begun the file anew
                    offset = 0
                file.seek(offset)
                data = file.read()
            self._offsets[path] = offset + len(data)
            yield from self._headed(path, data.decode("utf-8", "replace"), several=len(files) > 1)

    def follow(self) -> Iterator[str]:
        """The text up to now, then all text that is added, without end."""
        yield from self.past()
        while True:
            yield from self.growth()
            time.sleep(POLL_SECONDS)

    def _headed(self, path: Path, text: str, *, several: bool) -> Iterator[str]:
        if not text:
            return
        if several and path != self._last_shown:
            yield f"==> {path} <==\n"
        self._last_shown = path
        yield text
