from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from yellowdog_local.hosts.guest.executions import Action, Task, node_environment


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    for name in ("data", "home", "logs"):
        (tmp_path / name).mkdir()
    return {
        "provider": "AWS",
        "region": "eu",
        "instanceType": "small",
        "instanceId": "i-1",
        "data": str(tmp_path / "data"),
        "home": str(tmp_path / "home"),
        "taskLogs": str(tmp_path / "logs"),
    }


def test_platforms_variables_replace_those_of_the_settings(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C")
    monkeypatch.setenv("SECRET", "hidden")
    environment = node_environment(config | {"taskEnvironment": {"YD_REGION": "mine", "LANG": "de", "EXTRA": "1"}})
    assert (environment["YD_REGION"], environment["LANG"], environment["EXTRA"]) == ("eu", "de", "1")
    assert "SECRET" not in environment


@pytest.mark.parametrize(("attempt", "log"), [(0, "ydid_task_1.txt"), (2, "ydid_task_1-attempt-2.txt")])
def test_output_goes_to_the_log_of_the_attempt(config: dict[str, Any], attempt: int, log: str) -> None:
    task = Task({"taskId": "ydid:task:1", "attempt": attempt, "taskData": "in"}, config)
    task.prepare()
    assert (task.directory / "taskoutput.txt").readlink() == Path(config["taskLogs"], log)
    assert (task.directory / "taskdata.txt").read_text() == "in"
    assert task.wait() == 0
    assert (task.directory.exists(), Path(config["taskLogs"], log).exists()) == (False, True)


def test_task_that_has_not_started_is_neither_signalled_nor_killed(config: dict[str, Any]) -> None:
    task = Task({"taskId": "ydid:task:1"}, config)
    task.terminate()
    task.kill()
    assert task.wait() == 0


def test_action_writes_a_file_below_the_agents_home(config: dict[str, Any]) -> None:
    action = Action({"number": 1, "kind": "WRITE_FILE", "path": "new/file", "content": "text"}, config)
    assert action.run() == (0, None)
    assert Path(config["home"], "new", "file").read_text() == "text"


def test_action_fails_with_the_reason(config: dict[str, Any]) -> None:
    command = {"number": 1, "kind": "RUN_COMMAND", "path": "none", "arguments": [], "environment": {}}
    code, reason = Action(command, config).run()
    assert (code, "No such file" in (reason or "")) == (1, True)
    script = Path(config["home"], "none")
    script.write_text("#!/bin/sh\necho said\nexit 4\n")
    script.chmod(0o700)
    assert Action(command, config).run() == (4, "exit code 4")
    assert Path(config["taskLogs"], "action-1.txt").read_text() == "said\n"
