"""The supervisor of a head, as a program: with a fake Ray whose processes are killed, and a real Valkey or Redis."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.yellowdog_ray.head.process_groups import end_group
from yellowdog_ray.head import processes
from yellowdog_ray.head.events import Events
from yellowdog_ray.head.kinds import CONTROL_STORE, DASHBOARD, ESSENTIAL_BADNESS, SPARE_BADNESS, TAG_SERVER
from yellowdog_ray.head.processes import Command
from yellowdog_ray.head.restarts import CRASH_LOOP
from yellowdog_ray.head.supervisor import End, Supervisor
from yellowdog_ray.node import variables
from yellowdog_ray.node.scripts import CANNOT_SUPERVISE

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")

RESTARTED = ("gcs_server", "monitor.py", "dashboard.py", "log_monitor.py", "ray.util.client.server")
PROGRAMS = (*RESTARTED, "raylet")

RAY = f"""\
#!/bin/bash
for kind in {" ".join(PROGRAMS)}; do
  "$HOME/bin/$kind" --stderr_filepath="$HOME/$kind.err" </dev/null >/dev/null 2>&1 &
done
for kind in {" ".join(PROGRAMS)}; do until [ -s "$HOME/$kind.started" ]; do sleep 0.02; done; done
"""

PROCESS = """\
#!/bin/bash
echo "last words of $(basename "$0")" >>"$HOME/$(basename "$0").err"
echo "$$ ${RAY_SECRET:-}" >>"$HOME/$(basename "$0").started"
sleep 60 & wait
"""


class Head:
    """A supervisor with a fake Ray, in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "store"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (home / "bin").mkdir()
        for name, text in {"ray": RAY, **dict.fromkeys(PROGRAMS, PROCESS)}.items():
            (home / "bin" / name).write_text(text)
            (home / "bin" / name).chmod(0o755)
        command = [sys.executable, "-m", "yellowdog_ray.head", "--folder", str(self.folder)]
        command += ["--server", str(SERVER), "--port", str(self.port), "--", str(home / "bin/ray")]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(home)}
        self.process = subprocess.Popen(
            command,
            env={**environment, "RAY_SECRET": "kept", variables.CLOUD_INSTANCE_ID: "head-1"},
            stdin=subprocess.PIPE,
            stdout=(home / "output").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        return (self.home / "output").read_text()

    def start_ray(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.until(lambda: "Ray runs" in self.output)

    def starts(self, kind: str) -> list[int]:
        """The process ids of a kind, in the order of their starts."""
        file = self.home / f"{kind}.started"
        return [int(line.split()[0]) for line in file.read_text().splitlines()] if file.exists() else []

    def kill(self, kind: str, number: int = signal.SIGKILL) -> None:
        os.kill(self.starts(kind)[-1], number)

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)


@pytest.fixture
def head(tmp_path) -> Iterator[Head]:
    if SERVER is None:
        pytest.skip("neither valkey-server nor redis-server is installed: scripts/test installs one")
    head = Head(tmp_path)
    try:
        yield head
    finally:
        end_group(head.process)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class TestRestart:
    def test_killed_process_restarts_alone_with_its_environment(self, head):
        head.start_ray()
        for killed in RESTARTED:
            others = {program: head.starts(program) for program in PROGRAMS if program != killed}

            head.kill(killed)
            head.until(lambda: len(head.starts(killed)) == 2)  # noqa: B023 - called within the round

            assert {program: head.starts(program) for program in others} == others
            assert (head.home / f"{killed}.started").read_text().split()[1::2] == ["kept", "kept"]
        assert len(head.starts("raylet")) == 1
        scores = {kind: Path(f"/proc/{head.starts(kind)[-1]}/oom_score_adj").read_text() for kind in PROGRAMS}
        own = int(Path("/proc/self/oom_score_adj").read_text())
        assert {kind: int(score) - own for kind, score in scores.items()} == {
            "raylet": 0,
            "gcs_server": ESSENTIAL_BADNESS,
            "monitor.py": ESSENTIAL_BADNESS,
            "dashboard.py": SPARE_BADNESS,
            "log_monitor.py": SPARE_BADNESS,
            "ray.util.client.server": SPARE_BADNESS,
        }

    def test_restart_is_reported_as_line_and_event(self, head):
        head.start_ray()
        head.kill("gcs_server")
        head.until(lambda: "restarted" in head.output)

        assert "RayDog: control store restarted after 0.0 s (killed); 1st time in 10 min" in head.output
        (event,) = map(json.loads, (head.folder / "restarts").read_text().splitlines())
        assert (event["kind"], event["reason"], event["count"]) == ("control store", "killed", 1)

    def test_tag_server_restarts_with_its_content(self, head):
        redis = pytest.importorskip("redis")
        head.until(lambda: answers(head.port))
        client = redis.Redis(port=head.port)
        client.hset("raydog:demo:tags", "node", "tags")

        (server,) = children(head.process.pid)
        os.kill(server, signal.SIGKILL)
        head.until(lambda: "tag server restarted" in head.output)
        head.until(lambda: answers(head.port))

        assert redis.Redis(port=head.port).hget("raydog:demo:tags", "node") == b"tags"


class TestCrashLoop:
    """Without processes, on a clock of the test."""

    @pytest.fixture
    def supervisor(self, monkeypatch, tmp_path) -> Supervisor:
        self.now, self.pid, self.answers = 0.0, 100, True
        monkeypatch.setattr(processes, "start", self.start)
        return Supervisor(lambda line: None, Events(tmp_path / "events"), lambda: self.answers, lambda: self.now)

    def start(self, command: Command, **options: bool) -> int:
        self.pid += 1
        return self.pid

    def crash(self, supervisor: Supervisor, times: int) -> None:
        for _ in range(times):
            supervisor.exited(self.pid, 3)
            self.now += 30.0
            supervisor.restart_due()
            self.now -= 29.0

    def test_essential_process_ends_the_task_with_the_last_log_lines(self, supervisor, tmp_path):
        (tmp_path / "err").write_text("first\nlast words\n")
        supervisor.add(CONTROL_STORE, Command(["gcs_server", f"--stderr_filepath={tmp_path}/err"], {}))
        self.crash(supervisor, CRASH_LOOP - 1)

        with pytest.raises(
            End, match=r"the control store ends at each start .exit code 3.\nerr: first\nerr: last words"
        ):
            supervisor.exited(self.pid, 3)

    def test_control_store_that_dies_with_the_tag_server_is_in_no_crash_loop(self, supervisor):
        supervisor.add(TAG_SERVER, Command(["valkey-server"], {}))
        tag_server = self.pid
        supervisor.add(CONTROL_STORE, Command(["gcs_server"], {}))
        control_store = self.pid
        for _ in range(CRASH_LOOP):  # with the tag server, which lives for 25 s, and once by itself
            self.now += 13.0
            supervisor.exited(tag_server, -9)
            supervisor.restart_due()
            tag_server = self.pid
            for seconds in (0.0, 12.0):
                self.now += seconds
                supervisor.exited(control_store, -9)
                supervisor.restart_due()
                control_store = self.pid

        assert self.pid == 102 + 3 * CRASH_LOOP

    def test_other_process_is_started_again_for_ever(self, supervisor):
        supervisor.add(DASHBOARD, Command(["dashboard.py"], {}))

        self.crash(supervisor, 3 * CRASH_LOOP)

        assert self.pid == 101 + 3 * CRASH_LOOP

    def test_process_is_repaired_when_it_ends_at_its_start_twice(self, supervisor):
        repairs: list[int] = []
        supervisor.add(TAG_SERVER, Command(["valkey-server"], {}), lambda: str(repairs.append(self.pid)))
        supervisor.exited(self.pid, -9)
        supervisor.restart_due()
        supervisor.exited(self.pid, -9)
        self.now = 100.0
        supervisor.restart_due()
        assert repairs == []

        self.now = 200.0
        self.crash(supervisor, 3)
        assert repairs == [105]

    def test_control_store_restarts_after_the_tag_server(self, supervisor):
        supervisor.add(CONTROL_STORE, Command(["gcs_server"], {}))
        self.answers = False
        supervisor.exited(self.pid, -9)
        assert 0 < supervisor.restart_due() < 1
        assert self.pid == 101

        self.answers, self.now = True, 1.0
        supervisor.restart_due()
        assert self.pid == 102

    def test_failed_start_is_a_crash(self, supervisor, monkeypatch):
        supervisor.add(CONTROL_STORE, Command(["gcs_server"], {}))
        supervisor.exited(self.pid, -9)
        with monkeypatch.context() as patch:
            patch.setattr(processes, "start", Mock(side_effect=OSError(errno.ENOMEM, "Cannot allocate memory")))
            assert supervisor.restart_due() == 1.0

        self.now = 1.0
        supervisor.restart_due()
        assert self.pid == 102

    def test_restart_waits_for_its_back_off(self, supervisor):
        supervisor.add(CONTROL_STORE, Command(["gcs_server"], {}))
        supervisor.exited(self.pid, -9)
        assert supervisor.restart_due() > 1000
        supervisor.exited(self.pid, -9)

        assert supervisor.restart_due() == 1.0
        self.now = 1.0
        supervisor.restart_due()
        assert self.pid == 103


class TestEnd:
    def test_death_of_the_raylet_ends_the_task_with_its_last_words(self, head):
        head.start_ray()
        head.kill("raylet")

        assert head.process.wait(10) == 1
        assert "the raylet died (killed); the task ends" in head.output
        assert "raylet.err: last words of raylet" in head.output

    def test_graceful_end_of_the_raylet_is_a_success(self, head):
        head.start_ray()
        head.kill("raylet", signal.SIGTERM)

        assert head.process.wait(10) == 0
        assert "The raylet has exited; the task ends" in head.output

    def test_end_leaves_no_process(self, head):
        head.start_ray()
        head.kill("raylet")
        head.process.wait(10)

        head.until(lambda: not any(alive(head.starts(kind)[-1]) for kind in ("gcs_server", "monitor.py")))
        head.until(lambda: not answers(head.port))

    def test_nothing_restarts_while_the_task_is_ending(self, head):
        head.start_ray()
        head.process.terminate()
        head.until(lambda: caught_signals(head.process.pid) is not None)
        head.kill("monitor.py")
        head.until(lambda: not alive(head.starts("monitor.py")[0]))
        assert head.process.stdin is not None
        head.process.stdin.close()

        assert head.process.wait(10) == 0
        assert len(head.starts("monitor.py")) == 1

    def test_failure_of_ray_start_leaves_no_process(self, head):
        (head.home / "bin/ray").write_text(RAY + "exit 7\n")
        head.until(lambda: answers(head.port))
        assert head.process.stdin is not None
        head.process.stdin.write("\n")
        head.process.stdin.flush()

        assert head.process.wait(10) == CANNOT_SUPERVISE
        assert "ray start failed under the supervisor (exit code 7)" in head.output
        assert not any(alive(head.starts(kind)[0]) for kind in PROGRAMS)
        assert not answers(head.port)

    def test_missing_process_ends_the_task(self, head):
        (head.home / "bin/monitor.py").write_text("#!/bin/bash\necho $$ >>$HOME/monitor.py.started\n")
        assert head.process.stdin is not None
        head.process.stdin.write("\n")
        head.process.stdin.flush()

        assert head.process.wait(10) == 1
        assert "Ray runs without autoscaler after ray start" in head.output

    def test_killed_supervisor_leaves_no_tag_server(self, head):
        head.until(lambda: answers(head.port))
        head.process.kill()

        head.until(lambda: not answers(head.port))


class TestStore:
    def test_tags_need_no_password_and_reach_their_keys_only(self, head):
        redis = pytest.importorskip("redis")
        head.until(lambda: answers(head.port))
        client = redis.Redis(port=head.port)

        client.hset("raydog:demo:tags", "node", "tags")
        for forbidden in (lambda: client.hgetall("RAYhead-1@NODE"), client.flushall, lambda: client.config_get("*")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                forbidden()

    def test_control_store_logs_in_with_its_password(self, head):
        redis = pytest.importorskip("redis")
        head.until(lambda: answers(head.port))
        access = json.loads((head.folder / "store.json").read_text())
        client = redis.Redis(port=head.port, username=access["user"], password=access["password"])

        assert client.hset("RAYhead-1@NODE", "a", "b") == 1
        assert access["namespace"] == "head-1"

    def test_files_are_private(self, head):
        head.until(lambda: answers(head.port))

        assert head.folder.stat().st_mode & 0o077 == 0
        assert all(file.stat().st_mode & 0o077 == 0 for file in head.folder.iterdir())

    def test_server_listens_on_loopback_only(self, head):
        head.until(lambda: answers(head.port))

        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", head.port)) != 0


def children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def caught_signals(pid: int) -> bool | None:
    """Whether the process has no pending signal; None while it has one."""
    pending = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("ShdPnd")]
    return True if int(pending[0].split()[1], 16) == 0 else None
