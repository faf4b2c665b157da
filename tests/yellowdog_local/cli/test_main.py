"""`raydog local`: output and exit codes; an error is one sentence without a traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.yellowdog_local.host_support import eventually
from tests.yellowdog_local.service.test_daemon import free_port
from yellowdog_local.cli import main as cli
from yellowdog_local.cli.overview import Overview, OverviewReader
from yellowdog_local.hosts import leftovers
from yellowdog_local.service import daemon
from yellowdog_local.service.directory import LocalPlatformError, PlatformDirectory, State


def raydog(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(word) for word in words])


@pytest.fixture
def place(tmp_path: Path) -> PlatformDirectory:
    made = PlatformDirectory(tmp_path / "place")
    made.prepare()
    return made


@pytest.mark.hosts
def test_platform_starts_is_shown_and_stops(tmp_path: Path) -> None:
    directory, env_file = tmp_path / "place", tmp_path / ".env"
    try:
        started = raydog("start", "--dir", directory, "--port", str(free_port()), "--env-file", env_file)
        printed = raydog("env", "--dir", directory)
        shown = raydog("status", "--dir", directory, "--json")
        table = raydog("status", "--dir", directory)
        log = raydog("logs", "--dir", directory)
        twice = raydog("start", "--dir", directory)
    finally:
        stopped = raydog("stop", "--dir", directory)

    state = json.loads(shown.stdout)
    assert started.exit_code == 0, started.output
    assert state["url"] in started.stdout
    assert str(directory / "id_ed25519") in started.stdout
    assert env_file.read_text() == printed.stdout
    assert f"YD_API_URL={state['url']}\n" in printed.stdout
    assert (state["running"], state["hosts"], state["tasks"]) == (True, [], {})
    assert state["url"] in table.stdout
    assert "ready at" in log.stdout
    assert (twice.exit_code, "error: a local platform runs already" in twice.stderr) == (1, True)
    assert (stopped.exit_code, "stopped; nothing is left" in stopped.stdout) == (0, True)


@pytest.mark.hosts
def test_foreground_platform_runs_until_ctrl_c(tmp_path: Path) -> None:
    place = PlatformDirectory(tmp_path / "place")
    command = [sys.executable, "-m", "raydog_cli.main", "local", "start", "--foreground"]
    process = subprocess.Popen(
        [*command, "--dir", str(place.path), "--port", str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: place.running() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()

    assert process.returncode == 0, errors
    assert "The local platform runs at http://" in output
    assert output.endswith("stopped; nothing is left\n")
    assert "SIGINT: stopping" in errors
    assert leftovers.find(place.path) == []


def test_start_prints_the_environment_lines(place: PlatformDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "start", lambda _place, port, **_how: State(7, f"http://10.0.0.1:{port}", 0.0))
    result = raydog("start", "--dir", place.path)
    key = place.api_key()

    assert result.exit_code == 0
    for line in (f"YD_API_KEY_ID={key.key_id}", f"YD_API_KEY_SECRET={key.secret}", "YD_API_URL=http://10.0.0.1:8700"):
        assert line in result.stdout.splitlines()


def test_error_is_one_sentence_with_exit_code_one(place: PlatformDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: object, **_how: object) -> State:
        raise LocalPlatformError("no root: use sudo")

    monkeypatch.setattr(daemon, "start", refuse)
    result = raydog("start", "--dir", place.path)

    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: no root: use sudo"
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["status", "env"])
def test_command_exits_with_three_without_a_platform(place: PlatformDirectory, command: str) -> None:
    result = raydog(command, "--dir", place.path)

    assert result.exit_code == 3
    assert "`raydog local start` starts one" in result.output


def test_status_json_reports_that_no_platform_runs(place: PlatformDirectory) -> None:
    result = raydog("status", "--dir", place.path, "--json")

    assert result.exit_code == 3
    assert json.loads(result.stdout) == {"running": False, "starting": False, "directory": str(place.path)}


def test_status_shows_hosts_and_tasks_without_truncation(
    place: PlatformDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = "ydid:task:10CA1D:dc33f9b2-4bb2-47e5-b9fb-e0527dd7a01c:1:1"
    overview = Overview(
        hosts=[
            {"instance": "i-1", "status": "RUNNING", "address": "10.0.0.2"},
            {"instance": "i-2", "status": "PENDING", "address": None},
        ],
        pools=[{"name": "ray-workers", "status": "RUNNING", "nodes": 1}],
        nodes={"RUNNING": 1},
        tasks={"COMPLETED": 2, "EXECUTING": 1},
        running=[{"id": task_id, "name": "head-1", "host": "i-1"}],
    )
    monkeypatch.setattr(OverviewReader, "read", lambda _self: overview)
    with place.locked():
        place.write_state("http://10.0.0.1:8700")
        result = raydog("status", "--dir", place.path)
        as_json = json.loads(raydog("status", "--dir", place.path, "--json").stdout)

    rows = [line for line in result.stdout.splitlines() if "i-1" in line]
    assert f"head-1 {task_id}" in rows[0]
    assert "2 COMPLETED, 1 EXECUTING" in result.stdout
    assert "ray-workers" in result.stdout
    assert as_json["runningTasks"] == [{"id": task_id, "name": "head-1", "host": "i-1"}]
    assert as_json["nodes"] == {"RUNNING": 1}


def test_stop_reports_that_no_platform_was_running(place: PlatformDirectory) -> None:
    result = raydog("stop", "--dir", place.path)

    assert result.exit_code == 0
    assert "no platform was running; nothing is left" in result.stdout


def test_logs_shows_a_host_or_a_task(place: PlatformDirectory) -> None:
    tasks = place.hosts / "i-1" / "tasks"
    tasks.mkdir(parents=True)
    (place.hosts / "i-1" / "userdata.log").write_text("hello\n")
    (tasks / "ydid_task_1.txt").write_text("one\ntwo\n")

    assert raydog("logs", "--dir", place.path, "--task", "ydid:task:1", "-n", "1").stdout == "two\n"
    assert "hello\n" in raydog("logs", "--dir", place.path, "--host", "i-1").stdout
    both = raydog("logs", "--dir", place.path, "--host", "i-1", "--task", "ydid:task:1")
    assert (both.exit_code, "exclude each other" in both.stderr) == (1, True)
    unknown = raydog("logs", "--dir", place.path, "--host", "i-2")
    assert (unknown.exit_code, "there are logs of: i-1" in unknown.stderr) == (1, True)


@pytest.mark.parametrize("command", ["start", "env", "stop", "status", "logs"])
def test_help_has_an_example_for_every_command(command: str) -> None:
    result = raydog(command, "--help")

    assert result.exit_code == 0
    assert f"raydog local {command}" in result.stdout


def test_raydog_command_mounts_local() -> None:
    command = [sys.executable, "-m", "raydog_cli.main", "local", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert "raydog local start --env-file .env" in done.stdout
