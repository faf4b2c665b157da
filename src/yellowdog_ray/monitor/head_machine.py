"""Warns before the memory or a disk of the head is full. Reads this machine only; no platform call."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from yellowdog_ray.cluster.journal import Act, Note, note_nothing
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.node.variables import RAY_TMPDIR

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
"""How often memory and disks are read."""

FULL = 0.9
"""The used share at which a warning is logged. Ray ends work at 95 % of the memory (`RAY_memory_usage_threshold`), and
stores no more objects on a disk at 95 % (`RAY_local_fs_capacity_threshold`)."""

NOT_FULL = 0.85
"""The used share below which the next `FULL` is another warning."""

REPEAT_SECONDS = 600.0
"""How often the warning is repeated meanwhile."""

_PROC = Path("/proc")
_LARGEST = 3
_KIB, _GIB = 1024, 1024**3


@dataclass(frozen=True)
class Space:
    """A memory or a disk, in bytes."""

    total: int
    free: int

    @property
    def used_share(self) -> float:
        """From 0 to 1."""
        return 1 - self.free / self.total if self.total else 0.0

    def __str__(self) -> str:
        return f"{self.used_share:.0%} full: {self.free / _GIB:.1f} of {self.total / _GIB:.1f} GiB are free"


class HeadMachine:
    """The memory and the disks of this machine.

    Args:
        monotonic: seconds that never go back.
        memory: reads the memory; None where it cannot be read.
        disks: reads the disks, by their directory.
        note: receives what is nearly full.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        memory: Callable[[], Space | None] | None = None,
        disks: Callable[[], Mapping[str, Space]] | None = None,
        note: Note = note_nothing,
    ) -> None:
        self._note = note
        self._monotonic = monotonic
        self._memory = memory or read_memory
        self._disks = disks or read_disks
        self._due = monotonic()
        self._repeat: dict[str, float] = {}

    def tick(self, _snapshot: Snapshot) -> None:
        """Warn of what is nearly full."""
        now = self._monotonic()
        if now < self._due:
            return
        self._due = now + INTERVAL_SECONDS
        memory = self._memory()
        if memory is not None and self._is_news("", memory, now):
            self._note(Act.ANNOUNCED, f"the head's memory is {memory}. The head is too small")
            logger.warning(
                "the head's memory is %s. The largest programs: %s. Ray ends work at 95 %%, and then the kernel ends "
                "programs. The head is too small: use a larger machine type, or run less on it",
                memory,
                ", ".join(largest_programs()),
            )
        for folder, disk in self._disks().items():
            if self._is_news(folder, disk, now):
                self._note(Act.ANNOUNCED, f"the head's disk of {folder} is {disk}")
                logger.warning(
                    "the head's disk of %s is %s. At 95 %% Ray stores no more objects on it, and a full one stops the "
                    "control store. Delete files, or use a larger disk",
                    folder,
                    disk,
                )

    def _is_news(self, name: str, space: Space, now: float) -> bool:
        if space.used_share < NOT_FULL:
            self._repeat.pop(name, None)
        if space.used_share < FULL or now < self._repeat.get(name, now):
            return False
        self._repeat[name] = now + REPEAT_SECONDS
        return True


def read_memory(proc: Path = _PROC) -> Space | None:
    """The memory of this machine; None where the kernel does not report it."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        sizes = {name: int(size.split()[0]) * _KIB for name, _, size in (line.partition(":") for line in lines)}
        return Space(sizes["MemTotal"], sizes["MemAvailable"])
    except (OSError, ValueError, LookupError):
        return None


def read_disks() -> dict[str, Space]:
    """The disks of Ray's directory and of the home, without one that is read twice."""
    temporary = Path(os.environ.get(RAY_TMPDIR) or tempfile.gettempdir())
    found: dict[int, tuple[str, Space]] = {}
    for folder in (temporary, Path.home()):
        with suppress(OSError):
            usage = shutil.disk_usage(folder)
            found.setdefault(folder.stat().st_dev, (str(folder), Space(usage.used + usage.free, usage.free)))
    return dict(found.values())


def largest_programs(proc: Path = _PROC) -> list[str]:
    """Name and memory of the programs that use most of it."""
    sizes: list[tuple[int, str]] = []
    for folder in proc.iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError, LookupError):
                pages = int((folder / "statm").read_text().split()[1])
                sizes.append((pages * os.sysconf("SC_PAGE_SIZE"), folder.name))
    largest = sorted(sizes, reverse=True)[:_LARGEST]
    return [f"{_name(proc / pid)} ({size / _GIB:.1f} GiB, process {pid})" for size, pid in largest]


def _name(folder: Path) -> str:
    """The program and, of an interpreter, its script: arguments may hold secrets."""
    with suppress(OSError):
        argv = [os.fsdecode(word) for word in (folder / "cmdline").read_bytes().split(b"\0") if word]
        script = next((Path(word).name for word in argv[1:] if word.endswith(".py")), "")
        return " ".join(filter(None, (Path(argv[0]).name, script))) if argv else folder.name
    return folder.name
