"""Finds and removes what a killed platform has left on the machine. Needs its data directory only.

Leftovers are the bridge with the data directory's path as its alias, the hosts' disks in that
directory, and process hosts' temporary directories. Processes and mounts end by themselves, but are checked.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from yellowdog_local.hosts.guest import marks
from yellowdog_local.hosts.network import bridges_of, remove_link
from yellowdog_local.hosts.process_home import temporary_root

DISKS = "disks"
LOGS = "hosts"
TIMEOUT_SECONDS = 10.0


def find(data_directory: Path) -> list[str]:
    """The leftovers of the platform's hosts on the machine, one phrase each, without logs and keys."""
    directory = data_directory.resolve()
    found = [f"bridge {name}" for name in bridges_of(str(directory))]
    found += [f"process {number}" for number in processes(directory)]
    found += [f"mount {path}" for path in _mounts(directory)]
    disks = directory / DISKS
    if disks.is_dir():
        found += [f"directory {path}" for path in sorted(disks.iterdir())]
    temporary = temporary_root(directory)
    if temporary.exists():
        found.append(f"directory {temporary}")
    return found


def clean(data_directory: Path) -> None:
    """Remove what a killed platform has left. Must not be called while the platform of this directory runs."""
    directory = data_directory.resolve()
    marks.kill(marks.is_platform(marks.of_platform(directory)))
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while processes(directory) and time.monotonic() < deadline:
        time.sleep(0.05)  # they end by themselves after the platform
    for name in bridges_of(str(directory)):
        remove_link(name)
    shutil.rmtree(directory / DISKS, ignore_errors=True)
    shutil.rmtree(temporary_root(directory), ignore_errors=True)


def rotate_logs(data_directory: Path) -> None:
    """Keep the logs of the last run only: each run numbers its instances from 1 again."""
    logs = data_directory / LOGS
    if logs.is_dir():
        previous = data_directory / f"{LOGS}.1"
        shutil.rmtree(previous, ignore_errors=True)
        logs.replace(previous)


def processes(directory: Path) -> list[int]:
    """The first processes of namespace hosts, which end all others, and all processes of process hosts."""
    named = f"{directory.resolve() / DISKS}/".encode()  # the command line of a first process names the disk
    found = {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if named in _command_line(entry)}
    return sorted(found.union(marks.processes(marks.is_platform(marks.of_platform(directory)))))


def _command_line(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def _mounts(directory: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4] for line in lines]
    return [point for point in points if point.startswith(f"{directory}/")]
