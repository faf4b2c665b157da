"""Warnings before the memory or a disk of the head is full."""

import os
from typing import Any
from unittest.mock import Mock, call

import pytest

from yellowdog_ray.cluster.journal import Act
from yellowdog_ray.monitor.head_machine import (
    INTERVAL_SECONDS,
    REPEAT_SECONDS,
    HeadMachine,
    Space,
    largest_programs,
    read_disks,
    read_memory,
)

NO_SNAPSHOT: Any = None
EMPTY = Space(1000, 1000)


class Machine:
    """A machine whose memory and disk fill as a test says, and its watch."""

    def __init__(self) -> None:
        self.now = 0.0
        self.memory: Space | None = EMPTY
        self.disks = {"/scratch": EMPTY}
        self.note = Mock()
        self.watch = HeadMachine(lambda: self.now, lambda: self.memory, lambda: self.disks, self.note)

    def tick(self, seconds: float = INTERVAL_SECONDS) -> None:
        self.now += seconds
        self.watch.tick(NO_SNAPSHOT)


@pytest.fixture
def machine():
    return Machine()


def test_memory_that_is_nearly_full_gives_one_warning_with_the_largest_programs(machine, caplog):
    for free in (110, 100, 90, 140, 90):
        machine.memory = Space(1000, free)
        machine.tick()

    (warning,) = caplog.messages
    assert "the head's memory is 90% full" in warning
    assert "The head is too small: use a larger machine type" in warning
    assert warning.count(" GiB, process ") == 3


def test_memory_gives_another_warning_when_it_fills_again(machine, caplog):
    for free in (90, 160, 90):
        machine.memory = Space(1000, free)
        machine.tick()

    assert len(caplog.messages) == 2


def test_warning_is_repeated_while_the_memory_is_nearly_full(machine, caplog):
    machine.memory = Space(1000, 90)
    machine.tick()
    machine.tick(REPEAT_SECONDS - 1)
    assert len(caplog.messages) == 1

    machine.tick(REPEAT_SECONDS)
    assert len(caplog.messages) == 2


def test_each_disk_gives_a_warning_of_its_own(machine, caplog):
    machine.disks = {"/scratch": Space(1000, 50), "/home": Space(1000, 90), "/data": EMPTY}
    machine.tick()

    assert [message.partition(":")[0] for message in caplog.messages] == [
        "the head's disk of /scratch is 95% full",
        "the head's disk of /home is 91% full",
    ]


def test_what_is_nearly_full_is_published(machine):
    machine.memory, machine.disks = Space(1000, 90), {"/scratch": Space(1000, 50)}
    machine.tick()

    assert machine.note.call_args_list == [
        call(Act.ANNOUNCED, "the head's memory is 91% full: 0.0 of 0.0 GiB are free. The head is too small"),
        call(Act.ANNOUNCED, "the head's disk of /scratch is 95% full: 0.0 of 0.0 GiB are free"),
    ]


def test_machine_is_read_at_intervals(machine, caplog):
    machine.tick()
    machine.memory = Space(1000, 90)
    machine.tick(INTERVAL_SECONDS / 2)

    assert caplog.messages == []


def test_machine_whose_memory_cannot_be_read_gives_no_warning(machine, caplog):
    machine.memory = None
    machine.tick()

    assert caplog.messages == []


@pytest.mark.parametrize("text", [None, "", "MemTotal: x kB\n", "MemTotal: 1 kB\n", "MemTotal\nMemAvailable\n"])
def test_memory_of_an_odd_machine_is_unknown(tmp_path, text):
    if text is not None:
        (tmp_path / "meminfo").write_text(text)

    assert read_memory(tmp_path) is None


def test_memory_and_disks_of_this_machine_are_read():
    memory = read_memory()

    assert memory is not None
    assert all(0 < space.free < space.total for space in (memory, *read_disks().values()))


def test_programs_are_named_without_their_arguments(tmp_path):
    for pid, pages, argv in ((7, 300, "/venv/bin/python\0-u\0/home/train.py\0--key\0secret\0"), (8, 900, "ray::fit\0")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "statm").write_text(f"999999 {pages * 2**30 // os.sysconf('SC_PAGE_SIZE') // 100} 1\n")
        (tmp_path / str(pid) / "cmdline").write_text(argv)
    (tmp_path / "9").mkdir()  # it has ended

    assert largest_programs(tmp_path) == ["ray::fit (9.0 GiB, process 8)", "python train.py (3.0 GiB, process 7)"]
