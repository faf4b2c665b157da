"""Processes by /proc: how one was started, and why one has ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from yellowdog_ray.head import processes
from yellowdog_ray.head.processes import Command, command_of, out_of_memory_kills, reason_of


def test_command_of_a_running_process_is_all_that_starts_it_again(tmp_path):
    argv = [sys.executable, "-c", "import os; os.write(2, b'.'); input()", ""]
    environment = {"A": "1=2", "B": ""}
    output = tmp_path / "out"
    with (
        output.open("w") as file,
        subprocess.Popen(
            argv, env=environment, cwd=tmp_path, stdin=subprocess.PIPE, stdout=file, stderr=subprocess.PIPE
        ) as process,
    ):
        process.stderr.read(1)  # the kernel shows the arguments only once the program runs
        found = command_of(process.pid)
        assert process.pid in processes.children()
        process.communicate(b"\n")

    assert found == Command(argv, environment, str(tmp_path), (str(output), None))
    assert command_of(process.pid) is None
    assert process.pid not in processes.children()


def test_logs_are_the_named_files_and_the_redirected_ones():
    argv = ["raylet", "--stderr_filepath=/a", "--stdout-filepath=/b", "--log_filepath=/c"]

    assert Command(argv, {}, output=("/d", os.devnull)).logs == [Path("/a"), Path("/b"), Path("/d")]
    assert Command(argv[:1], {}).logs == []


@pytest.mark.parametrize(
    ("code", "out_of_memory", "reason"),
    [
        (0, False, "exit code 0"),
        (3, True, "exit code 3"),
        (-signal.SIGKILL, False, "killed"),
        (-signal.SIGKILL, True, "killed: out of memory"),
        (-signal.SIGSEGV, True, "signal SIGSEGV"),
    ],
)
def test_reason_of_an_end_is_its_code_or_signal(code, out_of_memory, reason):
    assert reason_of(code, out_of_memory=out_of_memory) == reason


def test_kills_for_want_of_memory_are_read_from_the_kernels_count(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    assert out_of_memory_kills() == 0

    (tmp_path / "vmstat").write_text("pgfault 9\noom_kill 3\n")
    assert out_of_memory_kills() == 3
    (tmp_path / "vmstat").write_text("pgfault 9\n")
    assert out_of_memory_kills() == 0


@pytest.mark.parametrize(("before", "after"), [(100, 400), (900, 1000)])
def test_badness_rises_to_the_kernels_limit(tmp_path, monkeypatch, before, after):
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    file = tmp_path / "7" / "oom_score_adj"
    file.parent.mkdir()
    file.write_text(f"{before}\n")

    processes.add_badness(7, 300)
    processes.add_badness(8, 300)

    assert file.read_text() == str(after)
