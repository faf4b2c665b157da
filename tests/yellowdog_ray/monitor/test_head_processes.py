"""The restarts of the head's processes in the monitor's log."""

import json
from typing import Any
from unittest.mock import Mock

import pytest

from yellowdog_ray.monitor.head_processes import HeadProcesses

NOW = 1_000.0
NO_SNAPSHOT: Any = None


@pytest.fixture
def file(tmp_path):
    return tmp_path / "restarts"


def write(file, time: float, reason: str = "killed") -> None:
    event = {"time": time, "kind": "control store", "seconds": 0.1, "reason": reason, "count": 1}
    with file.open("a") as out:
        out.write(json.dumps(event) + "\n")


def test_restart_is_logged_once(file, caplog):
    processes = HeadProcesses(NOW, file)
    write(file, NOW)
    processes.tick(NO_SNAPSHOT)
    processes.tick(NO_SNAPSHOT)
    write(file, NOW + 1)
    processes.tick(NO_SNAPSHOT)

    assert (
        caplog.messages == ["control store of the head restarted after 0.1 s (killed); restarts of it in 10 min: 1"] * 2
    )


def test_restart_is_counted_once(file):
    counted = Mock()
    processes = HeadProcesses(NOW, file, counted)
    write(file, NOW)
    write(file, NOW + 1)
    processes.tick(NO_SNAPSHOT)
    processes.tick(NO_SNAPSHOT)

    assert counted.call_count == 2


def test_restarts_of_long_ago_are_not_logged_again(file, caplog):
    write(file, NOW - 3600)
    HeadProcesses(NOW, file).tick(NO_SNAPSHOT)

    assert caplog.messages == []


def test_want_of_memory_is_logged_with_its_remedy(file, caplog):
    write(file, NOW, "killed: out of memory")
    HeadProcesses(NOW, file).tick(NO_SNAPSHOT)

    assert "The head is too small: use a larger machine type" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"time": "x"}\n', "\xff\n"])
def test_other_content_is_ignored(file, caplog, text):
    file.write_text(text)
    HeadProcesses(NOW, file).tick(NO_SNAPSHOT)

    assert caplog.messages == []


def test_head_without_supervisor_logs_nothing(file, caplog):
    HeadProcesses(NOW, file).tick(NO_SNAPSHOT)

    assert caplog.messages == []
