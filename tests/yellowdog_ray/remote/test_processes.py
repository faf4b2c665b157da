"""Programs with a deadline, some of which ignore SIGTERM."""

import subprocess
import time
from pathlib import Path

import pytest

from yellowdog_ray.remote import processes

IGNORES_SIGTERM = "trap '' TERM; sleep 60 & echo $! $$ > {ids}; wait; sleep 60"


@pytest.fixture(autouse=True)
def brief_termination(monkeypatch):
    monkeypatch.setattr(processes, "TERMINATION_SECONDS", 0.2)


@pytest.fixture
def stubborn(tmp_path) -> list[str]:
    """A program that ignores SIGTERM, and so does its child."""
    return ["bash", "-c", IGNORES_SIGTERM.format(ids=tmp_path / "ids")]


def assert_all_end(ids: Path) -> None:
    """Raise `AssertionError` unless the program and its child end soon."""
    deadline = time.monotonic() + 5
    for process_id in ids.read_text().split():
        while Path("/proc", process_id).exists():
            assert time.monotonic() < deadline, f"process {process_id} runs on"
            time.sleep(0.02)


def test_run_kills_a_program_that_ignores_sigterm_with_its_child(stubborn, tmp_path):
    began = time.monotonic()

    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(stubborn, 1.0, stdout=subprocess.PIPE)

    assert time.monotonic() - began < 5
    assert_all_end(tmp_path / "ids")


def test_run_ends_at_its_deadline_when_a_child_keeps_the_output_open(tmp_path):
    command = ["bash", "-c", IGNORES_SIGTERM.format(ids=tmp_path / "ids").replace("wait; sleep 60", "exit 0")]

    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(command, 1.0, stderr=subprocess.PIPE)

    assert_all_end(tmp_path / "ids")


def test_run_ends_the_program_when_it_is_interrupted(stubborn, tmp_path, monkeypatch):
    def interrupt(process: subprocess.Popen[bytes], *_: object, **__: object) -> None:
        while not (tmp_path / "ids").exists() or not (tmp_path / "ids").read_text():
            time.sleep(0.02)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupt)

    with pytest.raises(KeyboardInterrupt):
        processes.run(stubborn, 30.0, stdout=subprocess.PIPE)

    assert_all_end(tmp_path / "ids")


def test_run_returns_output_errors_and_exit_code():
    done = processes.run(["bash", "-c", "cat; echo no >&2; exit 3"], 30.0, b"yes", subprocess.PIPE, subprocess.PIPE)

    assert (done.stdout, done.stderr, done.returncode) == (b"yes", b"no\n", 3)
