"""Packs the kit with which a worker can replace this head: the head's own files. Runs on the head only.

A request packs it again only if a file has changed since. Nothing of it leaves the head but to a carrier.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from yellowdog_ray.credentials import HEAD_FILE
from yellowdog_ray.monitor.log_limit import LogLimit
from yellowdog_ray.node import kit
from yellowdog_ray.node.authentication import HEAD_AUTH_FILE
from yellowdog_ray.node.package import CURRENT
from yellowdog_ray.remote.package import pack

logger = logging.getLogger(__name__)

_FILES = {
    kit.CREDENTIALS: HEAD_FILE,
    kit.TOKEN: f"~/{HEAD_AUTH_FILE}",
    kit.CONFIG: f"~/{kit.CONFIG}",
    kit.KEY: f"~/{kit.KEY}",
}


@dataclass(frozen=True)
class PackedKit:
    """A kit as it is sent.

    Attributes:
        archive: a tar archive, compressed by gzip.
        digest: the SHA-256 of the archive, hexadecimal.
    """

    archive: bytes = field(repr=False)
    digest: str


class KitMaker:
    """Makes the kit of this head. Thread-safe.

    Args:
        manifest: the cluster of the kit; None while it is not known, or if this head makes no kit.
        now: seconds since the epoch.
        jobs: the document of the jobs that are to be submitted to a new head; None if there are none. Raises
            `JobsPendingError` before they have been read.
    """

    def __init__(
        self,
        manifest: Callable[[], kit.Manifest | None],
        now: Callable[[], float],
        jobs: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        self._manifest = manifest
        self._jobs = jobs
        self._lock = threading.Lock()
        self._reports = LogLimit(now)
        self._seen: object = None
        self._packed: PackedKit | None = None

    def current(self) -> PackedKit | None:
        """The kit, or None while this head cannot make one; the log has the reason.

        Raises:
            JobsPendingError: its jobs have not been read yet.
        """
        manifest = self._manifest()
        if manifest is None:
            return None
        with self._lock:
            try:
                return self._made(manifest)
            except OSError as error:
                if self._reports.admits(str(error)):
                    logger.warning("no worker can replace this head if its machine is lost: %s", error)
                return None

    def _made(self, manifest: kit.Manifest) -> PackedKit:
        jobs = self._jobs()
        files = dict(_paths())
        states = {name: file.stat() for name, file in files.items()}
        size = sum(state.st_size for state in states.values())
        if size > kit.MAX_BYTES:
            raise OSError(f"its files have {size / 2**20:.0f} MiB, and may have {kit.MAX_BYTES >> 20}")
        if size + len(jobs or b"") > kit.MAX_BYTES:
            jobs = None  # the other files have grown: `room_for_jobs` counts them at the next reading
        seen = (manifest, jobs, {name: (state.st_mtime_ns, state.st_size) for name, state in states.items()})
        if self._packed is None or seen != self._seen:
            content = {name: file.read_bytes() for name, file in files.items()}
            content[kit.MANIFEST] = manifest.as_json()
            archive = pack({**content, **({kit.JOBS: jobs} if jobs else {})}, mode=0o600)
            self._packed, self._seen = PackedKit(archive, hashlib.sha256(archive).hexdigest()), seen
        return self._packed


def room_for_jobs() -> int:
    """The bytes that the other files of this head's kit leave for the jobs."""
    try:
        size = sum(file.stat().st_size for _, file in _paths())
    except OSError:  # then there is no kit
        size = 0
    return min(max(kit.MAX_BYTES - size, 0), kit.MAX_JOBS_BYTES)


def _paths() -> Iterator[tuple[str, Path]]:
    """The files of the kit on this head, by their names in it."""
    for name, place in _FILES.items():
        yield name, Path(place).expanduser()
    package = Path(f"~/{CURRENT}").expanduser().resolve(strict=True)
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield f"{kit.PACKAGE}/{file.relative_to(package).as_posix()}", file
