"""The head's default task script with its supervisor: real bash, Valkey or Redis, and a fake Ray."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.yellowdog_ray.node.fake_home import make_home
from yellowdog_ray.node.package import CURRENT
from yellowdog_ray.node.scripts import HEAD_SCRIPT, STORE_FOLDER

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")

pytestmark = pytest.mark.skipif(SERVER is None, reason="neither valkey-server nor redis-server is installed")

RAY = """\
#!/bin/bash
case "$1" in
  stop) echo stopped >>"$HOME/ray.log"; kill $(cat "$HOME"/*.pid) 2>/dev/null ;;
  start)
    echo "$*" >>"$HOME/ray.log"
    [ ! -e "$HOME/broken" ] || [[ "$*" = *--block ]] || exit 1
    for kind in gcs_server raylet monitor.py; do
      "$HOME/venv/bin/$kind" </dev/null >/dev/null 2>&1 &
      until [ -s "$HOME/$kind.pid" ]; do sleep 0.02; done
    done ;;
esac
"""

PROGRAMS = ("gcs_server", "raylet", "monitor.py")

PROCESS = """\
#!/bin/bash
echo $$ >"$HOME/$(basename "$0").pid"
sleep 60 & wait
"""


@pytest.fixture
def home(tmp_path) -> Path:
    """The agent's home on an image with this RayDog, and with the cluster's configuration."""
    python = f'#!/bin/bash\nexport PYTHONPATH=$PYTHONPATH:{os.pathsep.join(sys.path)}\nexec {sys.executable} "$@"\n'
    return make_home(tmp_path, {"python": python, "ray": RAY, **dict.fromkeys(PROGRAMS, PROCESS)})


class Task:
    """The head's task."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self.home = home
        self.process = process
        self.port = port

    @property
    def output(self) -> str:
        return (self.home / "output").read_text()

    def deliver(self) -> None:
        """What `ray up` does last."""
        self.until(lambda: "Waiting for the cluster's configuration" in self.output)
        (self.home / "ray_bootstrap_key.pem").write_text("key")

    def starts(self) -> str:
        file = self.home / "ray.log"
        return file.read_text() if file.exists() else ""

    def pid(self, kind: str) -> int:
        return int((self.home / f"{kind}.pid").read_text())

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)


@contextmanager
def head_task(home: Path, **environment: str) -> Iterator[Task]:
    """A task that runs the head's script; its process group is killed at the end."""
    (home / "taskdata.txt").write_text(HEAD_SCRIPT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    variables = {"PATH": os.environ["PATH"], "YD_AGENT_HOME": str(home), "RAYDOG_TAG_SERVER_PORT": str(port)}
    with subprocess.Popen(
        ["bash", "taskdata.txt"],
        cwd=home,
        env={**variables, "RAY_CLOUD_INSTANCE_ID": "head-1", **environment},
        stdout=(home / "output").open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            yield Task(home, process, port)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_supervisor_waits_for_the_package_that_holds_it(home):
    (home / CURRENT).rmdir()
    with head_task(home) as task:
        task.until((home / ".raydog").exists)
        assert not task.answers()

        (home / CURRENT).mkdir()
        task.until(task.answers)


def test_tag_server_runs_before_ray(home):
    with head_task(home) as task:
        task.until(task.answers)

        assert not (home / "ray.log").exists()


def test_killed_control_store_restarts(home):
    with head_task(home) as task:
        task.deliver()
        task.until(lambda: "Ray runs" in task.output)
        before, raylet = task.pid("gcs_server"), task.pid("raylet")
        os.kill(before, signal.SIGKILL)

        task.until(lambda: "control store restarted" in task.output)
        task.until(lambda: task.pid("gcs_server") != before)
        assert task.pid("raylet") == raylet
    assert "--block" not in (home / "ray.log").read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, 1)])
def test_task_ends_with_its_raylet(home, number, code):
    with head_task(home) as task:
        task.deliver()
        task.until(lambda: "Ray runs" in task.output)
        os.kill(task.pid("raylet"), number)

        assert task.process.wait(10) == code
        assert "Ray stopped" in task.output
        assert not task.answers()


def test_aborted_task_stops_ray_and_restarts_nothing(home):
    with head_task(home) as task:
        task.deliver()
        task.until(lambda: "Ray runs" in task.output)
        task.process.terminate()

        assert task.process.wait(10) == 143
        assert "restarted" not in task.output
        assert "stopped" in (home / "ray.log").read_text()
        assert not task.answers()
        assert not (home / STORE_FOLDER).exists()
        assert not (home / "ray_bootstrap_key.pem").exists()


def test_head_ends_with_its_processes_on_an_image_with_an_older_raydog(home):
    (home / "venv/bin/python").write_text("#!/bin/bash\necho 'No module named yellowdog_ray.head' >&2\nexit 1\n")
    with head_task(home) as task:
        task.deliver()
        task.until(lambda: "--block" in task.starts())

        assert "The supervisor does not run on this image" in task.output
        assert "No module" not in task.output


def test_head_ends_with_its_processes_when_ray_does_not_start_supervised(home):
    (home / "broken").touch()
    with head_task(home) as task:
        task.deliver()
        task.until(lambda: "--block" in task.starts())

        assert "ray start failed under the supervisor (exit code 1)" in task.output
        assert "Ray starts without the supervisor: the head ends with the first" in task.output
        task.until(task.answers)


def test_head_ends_with_its_processes_when_the_supervisor_does_not_start(home):
    full = "import yellowdog_ray.head.store as s\ndef full(*_): raise OSError('disk full')\ns.write_private = full\n"
    (home / "sitecustomize.py").write_text(full)
    with head_task(home, PYTHONPATH=str(home)) as task:
        task.deliver()
        task.until(lambda: "--block" in task.starts())

        assert "the supervisor does not start: disk full" in task.output
        task.until(task.answers)


def test_task_ends_with_its_supervisor(home):
    with head_task(home) as task:
        task.deliver()
        task.until(lambda: "Ray runs" in task.output)
        found = subprocess.run(
            ["pgrep", "-P", str(task.process.pid), "python"], capture_output=True, text=True, check=True
        )
        os.kill(int(found.stdout), signal.SIGKILL)

        assert task.process.wait(10) == 137
        assert "Ray stopped" in task.output
        assert not task.answers()


def test_task_ends_with_the_reason_when_the_tag_server_never_starts(home):
    (home / "venv/bin/valkey-server").write_text("#!/bin/bash\n[ $1 = --version ] && echo 'v=8' || exit 1\n")
    (home / "venv/bin/valkey-server").chmod(0o755)
    for name in ("LAST_BACK_OFF_SECONDS", "FIRST_BACK_OFF_SECONDS"):
        (home / "sitecustomize.py").open("a").write(f"import yellowdog_ray.head.restarts as r\nr.{name} = 0.0\n")
    with head_task(home, PYTHONPATH=str(home)) as task:
        task.until(lambda: "the tag server ends at each start (exit code 1)" in task.output)
        task.deliver()

        assert task.process.wait(10) == 1
    assert "start --head" not in (home / "ray.log").read_text()


@pytest.mark.parametrize(
    ("server", "environment", "reason"),
    [
        ("echo 'Redis server v=5.0.14 sha=0'", {}, "has no users (version 6 or later is needed)"),
        ("echo 'Valkey server v=8.0.1 sha=0'", {"RAY_START_HOOK": "my.hook"}, "RAY_START_HOOK is set"),
    ],
)
def test_head_ends_with_its_processes_where_it_cannot_be_supervised(home, server, environment, reason):
    (home / "venv/bin/valkey-server").write_text(f"#!/bin/bash\n{server}\n")
    (home / "venv/bin/valkey-server").chmod(0o755)
    with head_task(home, **environment) as task:
        task.deliver()
        task.until(lambda: "--block" in task.starts())

        assert reason in task.output
