"""Marks of processes: inherited by all children, found and killed by them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.yellowdog_local.host_support import eventually
from yellowdog_local.hosts.guest import marks

PLATFORM = marks.of_platform(Path("/nowhere") / str(os.getpid()))
# Starts a grandchild that keeps nothing of its parents: no environment, session, parent, name or directory.
RUNAWAY = "import os, sys; from yellowdog_local.hosts.guest import marks; marks.wear(int(sys.argv[1])); "
RUNAWAY += "os.system('cd /; setsid env -i bash -c \"exec -a other sleep 60\" & sleep 60')"


@pytest.fixture
def marked() -> Iterator[int]:
    mark = marks.of_host(PLATFORM, 7)
    with subprocess.Popen([sys.executable, "-c", RUNAWAY, str(mark)]) as process:
        eventually(lambda: len(marks.processes(marks.is_host(mark))) == 4)
        eventually(lambda: runaway(mark))
        yield mark
        marks.kill(marks.is_host(mark))
        process.kill()


def runaway(mark: int) -> int:
    found = marks.processes(marks.is_host(mark))
    numbers = [number for number in found if Path(f"/proc/{number}/cmdline").read_bytes().startswith(b"other\0")]
    return numbers[0] if numbers else 0


def test_detached_process_is_found_by_its_mark(marked: int) -> None:
    assert Path(f"/proc/{runaway(marked)}/environ").read_bytes().find(b"HOME") == -1
    assert len(marks.processes(marks.is_platform(PLATFORM))) == 4
    assert marks.processes(marks.is_host(marks.of_host(PLATFORM, 8))) == []
    assert marks.processes(marks.is_platform(marks.of_platform(Path("/elsewhere")))) == []


def test_kill_ends_all_marked_processes_but_the_spared(marked: int) -> None:
    spared = runaway(marked)

    assert marks.kill(marks.is_host(marked), spare=[spared])
    assert marks.processes(marks.is_host(marked)) == [spared]


def test_kill_ends_processes_that_fork() -> None:
    mark = marks.of_host(PLATFORM, 9)
    fork = "import os, sys, time; from yellowdog_local.hosts.guest import marks; marks.wear(int(sys.argv[1]))\n"
    fork += "for _ in range(200):\n    if os.fork(): time.sleep(0.2); os._exit(0)\n"
    with subprocess.Popen([sys.executable, "-c", fork, str(mark)]):
        eventually(lambda: marks.processes(marks.is_host(mark)))
        assert marks.kill(marks.is_host(mark))

    time.sleep(0.5)  # real processes, each of which runs 0.2 s: no event reports that none forks any more
    assert marks.processes(marks.is_host(mark)) == []


def test_kill_scans_again_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    readings, killed = iter([[], [42], []]), []
    forks = iter([b"1", b"2", b"2", b"2", b"2"])  # one before each reading, and one after each that found nothing
    monkeypatch.setattr(marks, "processes", lambda _wanted: next(readings))
    monkeypatch.setattr(marks, "_forks", lambda: next(forks))
    monkeypatch.setattr(marks, "_kill", lambda number, _wanted: killed.append(number))

    assert marks.kill(marks.is_platform(PLATFORM))
    assert killed == [42]


def test_zombies_are_not_listed() -> None:
    mark = marks.of_host(PLATFORM, 10)
    wear = "import sys; from yellowdog_local.hosts.guest import marks; marks.wear(int(sys.argv[1]))"
    with subprocess.Popen([sys.executable, "-c", wear, str(mark)]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended and is a zombie

        assert marks.processes(marks.is_host(mark)) == []


def test_unmarked_process_belongs_to_no_platform() -> None:
    assert os.getpid() not in marks.processes(marks.is_platform(PLATFORM))
    assert not marks.is_platform(PLATFORM)(0)


def test_marks_of_hosts_differ_and_belong_to_their_platform() -> None:
    every = {marks.of_host(PLATFORM, number) for number in range(1, marks.LAST_NUMBER + 1)}

    assert len(every) == marks.LAST_NUMBER
    assert all(marks.is_platform(PLATFORM)(mark) for mark in every)
    assert max(every) < 2**63  # what the kernel's interface takes as a number


def test_wear_fails_when_the_limit_is_already_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(marks.resource, "setrlimit", refuse)
    with pytest.raises(marks.MarkError, match="ulimit -R"):
        marks.wear(PLATFORM)
