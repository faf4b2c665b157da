"""The agent as a process against a fake platform: environment of tasks, and reports to the platform."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.yellowdog_local.fake_endpoint import TOKEN, FakeEndpoint
from yellowdog_local.hosts import programs

TASK = "ydid:task:0:1:1:1"
DIRECTORY = "ydid_task_0_1_1_1"


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint(grace=0.2) as fake:
        yield fake


def copied(directory: Path) -> Path:
    """A copy of the agent's files alone, as on a host without the package."""
    root = directory / "agent"
    for name, text in programs.agent_files().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


class RunningAgent:
    def __init__(self, url: str, directory: Path, token: str = TOKEN) -> None:
        self.data = directory / "data"
        self.task_logs = directory / "tasks"
        self.task_logs.mkdir()
        self.home = directory / "home"
        self.home.mkdir()
        config: dict[str, Any] = {
            "url": url,
            "token": token,
            "instanceId": "i-7",
            "hostname": "host-7",
            "privateIpAddress": "10.0.0.7",
            "publicIpAddress": "10.0.0.8",
            "provider": "AWS",
            "region": "eu-west-1",
            "instanceType": "sim-instance",
            "home": str(self.home),
            "data": str(self.data),
            "taskLogs": str(self.task_logs),
        }
        path = directory / "agent.json"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        self.log = directory / "agent.log"
        environment = dict(os.environ) | {"USER": "yd-agent", "LOGNAME": "yd-agent", "SECRET_OF_HOST": "x"}
        with self.log.open("wb") as log:
            command = programs.command("agent", str(path), root=copied(directory))
            self.process = subprocess.Popen(command, stderr=log, env=environment)

    def output(self, name: str = f"{DIRECTORY}.txt") -> str:
        return (self.task_logs / name).read_text()


@pytest.fixture
def running(endpoint: FakeEndpoint, tmp_path: Path) -> Iterator[RunningAgent]:
    with _running(endpoint, tmp_path) as started:
        yield started


@contextmanager
def _running(endpoint: FakeEndpoint, tmp_path: Path) -> Iterator[RunningAgent]:
    started = RunningAgent(endpoint.url, tmp_path)
    yield started
    endpoint.end_node()
    try:
        started.process.wait(10)
    finally:
        started.process.kill()
        started.process.wait()


def test_registration_describes_the_host(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.wait_for(lambda: endpoint.registrations)

    registration = endpoint.registrations[0]
    assert registration["instanceId"] == "i-7"
    assert registration["hostname"] == "host-7"
    assert (registration["privateIpAddress"], registration["publicIpAddress"]) == ("10.0.0.7", "10.0.0.8")
    assert registration["vcpus"] == os.cpu_count()
    assert registration["ram"] > 0.1
    assert registration["supportedTaskTypes"] == ["bash"]


def test_task_has_its_directory_data_and_environment(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    script = "pwd; ls; env | sort; echo to-stderr >&2; cat taskdata.txt | head -c 3"
    endpoint.run_task(script, environment={"MY_OWN": "value", "YD_REGION": "mine"}, slot=3)

    event = endpoint.finished()
    output = running.output().splitlines()
    expected = {
        "YD_PROVIDER=AWS",
        "YD_REGION=mine",
        "YD_INSTANCE_TYPE=sim-instance",
        "YD_INSTANCE_ID=i-7",
        "YD_TASK_GROUP_ID=ydid:taskgrp:0:1:1",
        f"YD_TASK_ID={TASK}",
        f"YD_AGENT_DATA={running.data}",
        f"YD_AGENT_HOME={running.home}",
        "YD_WORKER_SLOT=3",
        "MY_OWN=value",
        "USER=yd-agent",
        "LOGNAME=yd-agent",
    }

    assert event == {
        "taskId": TASK,
        "attempt": 0,
        "type": "FINISHED",
        "exitCode": 0,
        "errorType": None,
        "message": None,
    }
    assert output[0] == str(running.data / "workers" / DIRECTORY)
    assert output[1:3] == ["taskdata.txt", "taskoutput.txt"]
    assert expected <= set(output)
    assert {line.split("=")[0] for line in output} >= {"HOME", "PATH"}
    assert not [line for line in output if "SECRET_OF_HOST" in line or TOKEN in line]
    assert output[-2:] == ["to-stderr", "pwd"]


def test_started_is_reported_before_finished(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("exit 3")

    assert endpoint.finished()["exitCode"] == 3
    assert [event["type"] for event in endpoint.events] == ["STARTED", "FINISHED"]


def test_task_directory_is_deleted_and_output_kept(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("echo words > file; echo done")

    endpoint.finished()

    assert list((running.data / "workers").iterdir()) == []
    assert running.output() == "done\n"


def test_output_is_readable_while_the_task_runs(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("echo early; sleep 60")

    endpoint.wait_for(lambda: (running.task_logs / f"{DIRECTORY}.txt").exists() and running.output())

    assert running.output() == "early\n"


def test_output_of_each_attempt_is_kept(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("echo first; exit 1")
    endpoint.finished()
    endpoint.run_task("echo second", attempt=1)
    endpoint.wait_for(lambda: len(endpoint.events) == 4)

    assert running.output() == "first\n"
    assert running.output(f"{DIRECTORY}-attempt-1.txt") == "second\n"
    assert endpoint.events[-1]["attempt"] == 1


def test_exit_code_after_a_signal_is_that_of_a_shell(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("kill -USR1 $$")

    assert endpoint.finished()["exitCode"] == 128 + signal.SIGUSR1


def test_slots_run_concurrently(endpoint: FakeEndpoint, running: RunningAgent, tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    script = "mkfifo {0} 2>/dev/null; echo here > {0}"
    endpoint.run_task(script.format(meeting), "ydid:task:a", slot=1)
    endpoint.run_task(f"while [ ! -p {meeting} ]; do sleep 0.01; done; cat {meeting}", "ydid:task:b", slot=2)

    assert endpoint.finished("ydid:task:a")["exitCode"] == 0
    assert endpoint.finished("ydid:task:b")["exitCode"] == 0
    assert running.output("ydid_task_b.txt") == "here\n"


def test_abort_signals_the_child_process_only(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("trap 'echo cleaning; kill $!; exit 7' TERM; sleep 60 & echo ready; wait")
    endpoint.wait_for(lambda: (running.task_logs / f"{DIRECTORY}.txt").exists() and running.output())

    endpoint.command("ABORT_TASK", taskId=TASK)

    assert endpoint.finished()["exitCode"] == 7
    assert running.output() == "ready\ncleaning\n"


def test_abort_signals_the_process_group_when_set_so(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.orders = {"abortProcessGroup": True}
    with _running(endpoint, tmp_path) as running:
        endpoint.run_task(
            "trap 'wait; exit 7' TERM; (trap 'echo child; exit' TERM; echo r; while :; do sleep 0.01; done) & wait"
        )
        endpoint.wait_for(lambda: (running.task_logs / f"{DIRECTORY}.txt").exists() and running.output())

        endpoint.command("ABORT_TASK", taskId=TASK)

        assert endpoint.finished()["exitCode"] == 7
        assert "child" in running.output().splitlines()


def test_kill_leaves_a_task_no_time_to_clean_up(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("trap 'echo cleaning' TERM; echo ready; while :; do sleep 0.01; done")
    endpoint.wait_for(lambda: (running.task_logs / f"{DIRECTORY}.txt").exists() and running.output())

    endpoint.command("ABORT_TASK", taskId=TASK, kill=True)

    assert endpoint.finished()["exitCode"] == 128 + signal.SIGKILL
    assert running.output() == "ready\n"


def test_agent_polls_at_the_platforms_heartbeat_period(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.orders = {"heartbeatSeconds": 0.05}
    with _running(endpoint, tmp_path):
        endpoint.wait_for(lambda: len(endpoint.waits) > 3)

    assert set(endpoint.waits) == {0.05}


def test_task_has_the_environment_and_umask_of_the_platforms_settings(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.orders = {"taskEnvironment": {"USER": "somebody", "YD_REGION": "no"}, "taskUmask": 0o027}
    with _running(endpoint, tmp_path) as running:
        endpoint.run_task("echo $USER $LOGNAME $YD_REGION $OWN; umask", environment={"OWN": "mine"})

        endpoint.finished()

        assert running.output() == "somebody yd-agent eu-west-1 mine\n0027\n"


def _act(endpoint: FakeEndpoint, number: int, **action: object) -> dict[str, Any]:
    """Run a node action and wait for its end."""
    endpoint.command("RUN_ACTION", action={"number": number, **action})

    def ended() -> list[dict[str, Any]]:
        return [event for event in endpoint.events if event.get("action") == number]

    endpoint.wait_for(ended)
    return ended()[0]


def test_node_actions_write_files_and_run_commands(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    wrote = _act(endpoint, 1, kind="WRITE_FILE", path="made/script", content="echo $OWN $YD_INSTANCE_ID $1; exit $2")
    arguments = ["made/script", "word", "3"]
    ran = _act(endpoint, 2, kind="RUN_COMMAND", path="/bin/sh", arguments=arguments, environment={"OWN": "mine"})

    assert wrote == {"action": 1, "type": "ACTION_FINISHED", "exitCode": 0, "message": None}
    assert ran == {"action": 2, "type": "ACTION_FINISHED", "exitCode": 3, "message": "exit code 3"}
    assert (running.home / "made" / "script").read_text().startswith("echo")
    assert running.output("action-2.txt") == "mine i-7 word\n"


def test_node_action_fails_with_its_error(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    ran = _act(endpoint, 1, kind="RUN_COMMAND", path="/no/such/program", arguments=[], environment={})
    wrote = _act(endpoint, 2, kind="WRITE_FILE", path="/dev/null/file", content="")

    assert (ran["exitCode"], wrote["exitCode"]) == (1, 1)
    assert "No such file" in ran["message"]
    assert "/dev/null" in wrote["message"]


def test_node_action_command_is_killed_with_its_node(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    command = {"arguments": ["-c", "sleep 63 & echo $!; wait"], "environment": {}}
    endpoint.command("RUN_ACTION", action={"number": 1, "kind": "RUN_COMMAND", "path": "/bin/sh", **command})
    kept = running.task_logs / "action-1.txt"
    endpoint.wait_for(lambda: kept.exists() and kept.read_text())

    endpoint.end_node()

    running.process.wait(10)
    assert _ended(int(kept.read_text()))


def test_task_is_killed_with_its_group_when_it_ignores_the_abort(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("trap '' TERM; sleep 61 & echo $!; wait")
    endpoint.wait_for(lambda: (running.task_logs / f"{DIRECTORY}.txt").exists() and running.output())
    grandchild = int(running.output())

    endpoint.command("ABORT_TASK", taskId=TASK)

    assert endpoint.finished()["exitCode"] == 128 + signal.SIGKILL
    assert _ended(grandchild)


def test_abort_takes_effect_right_after_the_start(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.wait_for(lambda: endpoint.registrations)
    endpoint.run_task("sleep 62")
    endpoint.command("ABORT_TASK", taskId=TASK)

    assert endpoint.finished()["exitCode"] == 128 + signal.SIGTERM


def test_task_fails_with_its_error_when_it_cannot_start(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("true", arguments=["bad\0argument"])

    event = endpoint.finished()

    assert event["errorType"] == "UNABLE_START_PROCESS"
    assert event["exitCode"] is None
    assert "null byte" in event["message"]


def test_task_fails_with_its_error_when_its_data_cannot_be_written(
    endpoint: FakeEndpoint, running: RunningAgent, tmp_path: Path
) -> None:
    endpoint.wait_for(lambda: endpoint.registrations)
    (tmp_path / "data").write_text("a file where a directory should be")
    endpoint.run_task("true")

    assert endpoint.finished()["errorType"] == "UNABLE_WRITE_TASK_DATA"


def test_agent_survives_outages_of_the_platform(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.failures = [503, 429]
    started = RunningAgent(endpoint.url, tmp_path)
    endpoint.wait_for(lambda: endpoint.registrations)
    endpoint.failures = [500]
    endpoint.run_task("echo done")

    assert endpoint.finished()["exitCode"] == 0

    endpoint.command("SHUTDOWN")
    assert started.process.wait(10) == 0


def test_shutdown_ends_the_agent_after_its_last_report(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("true")
    endpoint.finished()
    endpoint.command("SHUTDOWN")

    assert running.process.wait(10) == 0


def test_tasks_are_killed_when_the_node_is_terminated(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.run_task("sleep 63 & echo $!; wait")
    endpoint.wait_for(lambda: (running.task_logs / f"{DIRECTORY}.txt").exists() and running.output())
    grandchild = int(running.output())

    endpoint.end_node()

    assert running.process.wait(10) == 0
    assert _ended(grandchild)


def test_agent_ends_with_a_clear_message_for_a_wrong_token(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    started = RunningAgent(endpoint.url, tmp_path, token="another")

    assert started.process.wait(10) == 1
    assert "the platform refused this agent: POST /agent/register: 401" in started.log.read_text()


def test_token_is_absent_from_the_process_list(endpoint: FakeEndpoint, running: RunningAgent) -> None:
    endpoint.wait_for(lambda: endpoint.registrations)
    proc = Path("/proc", str(running.process.pid))

    assert TOKEN.encode() not in (proc / "cmdline").read_bytes()
    assert TOKEN.encode() not in (proc / "environ").read_bytes()


def _ended(process_id: int) -> bool:
    """Whether a process, no child of this one, is gone or a zombie."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False
