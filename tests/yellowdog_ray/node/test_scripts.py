"""The default task scripts and the head's environment check, run by a real bash with a fake Ray."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.yellowdog_ray.node.fake_home import make_home
from yellowdog_ray.node.package import CURRENT
from yellowdog_ray.node.ports import GCS_PORT
from yellowdog_ray.node.scripts import HEAD_LOST_SECONDS, HEAD_SCRIPT, WORKER_SCRIPT, check_environment_command

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")

RAY = """\
#!/bin/bash
if [ "$1" = stop ]; then
  [ ! -f "$HOME/ray.pid" ] || kill "$(cat "$HOME/ray.pid")"
  exit
fi
echo $$ >"$HOME/ray.pid"
raylet &
wait $!
exec /bin/sleep 60  # `ray start --block` continues when its raylet leaves
"""


@pytest.fixture
def home(tmp_path) -> Path:
    """The agent's home, with a fake Ray whose raylet leaves soon, and a short sleep."""
    programs = {"ray": RAY, "raylet": "#!/bin/bash\n/bin/sleep 0.3\n", "sleep": "#!/bin/bash\nexec /bin/sleep 0.05\n"}
    return make_home(tmp_path, programs)


@contextmanager
def task(script: str, home: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A task that runs a script; its process group is killed at the end."""
    (home / "taskdata.txt").write_text(script)
    with subprocess.Popen(
        ["bash", "taskdata.txt"],
        cwd=home,
        env={"PATH": os.environ["PATH"], "YD_AGENT_HOME": str(home), **environment},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("script", [HEAD_SCRIPT, WORKER_SCRIPT])
@pytest.mark.parametrize("same_process", [True, False])
def test_kit_of_a_killed_task_is_deleted_at_the_start_of_the_next_one(home, script, same_process):
    kits = home / ".raydog/kit"
    for name in (str(os.getpid()), "no-process"):  # that of pytest is no task's
        (kits / name).mkdir(parents=True)
    before = f'mkdir "{kits}/$$"\n' if same_process else ""
    with task(before + script, home, RAY_HEAD_IP="127.0.0.1", RAYDOG_HEAD_RESTART="0"):
        deadline = time.monotonic() + 10
        while not (home / "ray.pid").exists() and list(kits.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert list(kits.iterdir()) == []


@pytest.mark.parametrize("script", [HEAD_SCRIPT, WORKER_SCRIPT])
def test_link_in_place_of_the_kits_is_deleted_without_its_files(home, tmp_path, script):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").touch()
    (home / ".raydog/kit").symlink_to(tmp_path / "elsewhere")
    with task(script, home, RAY_HEAD_IP="127.0.0.1"):
        deadline = time.monotonic() + 10
        while (home / ".raydog/kit").is_symlink():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert (tmp_path / "elsewhere/file").exists()


def test_task_ends_with_its_raylet(home):
    with task(WORKER_SCRIPT, home, RAY_HEAD_IP="127.0.0.1") as process:
        output, _ = process.communicate(timeout=10)

    assert "The raylet has exited" in output
    assert process.returncode == 0


PGREP = """\
#!/bin/bash
echo >>"$HOME/polls"
[ "$1" = -P ] || echo $$
exit "$(sed -n "$(wc -l <"$HOME/polls")p" "$HOME/statuses")"
"""

RAY_THAT_STAYS = """\
#!/bin/bash
if [ "$1" = stop ]; then kill "$(cat "$HOME/ray.pid")"; exit; fi
echo $$ >"$HOME/ray.pid"
exec /bin/sleep 60
"""


class TestWatchOfTheRaylet:
    """The watch counts polls without a raylet, not polls that fail."""

    @pytest.fixture
    def polls(self, home) -> Callable[..., int]:
        """Runs a script whose polls have these exit statuses. Returns the number of polls until the task ends."""
        for name, text in {"ray": RAY_THAT_STAYS, "pgrep": PGREP}.items():
            (home / "venv/bin" / name).write_text(text)
            (home / "venv/bin" / name).chmod(0o755)

        def run(script: str, statuses: Sequence[int]) -> int:
            (home / "statuses").write_text("".join(f"{status}\n" for status in statuses))
            with task(script, home, RAY_HEAD_IP="127.0.0.1") as process:
                if script == HEAD_SCRIPT:
                    wait_for_line(process, "Waiting for the cluster's configuration")
                    (home / "ray_bootstrap_key.pem").touch()
                wait_for_line(process, "The raylet has exited")
                wait_for_line(process, "Ray stopped")
                assert process.wait(10) == 0
            return len((home / "polls").read_text().splitlines())

        return run

    @pytest.mark.parametrize("script", [HEAD_SCRIPT, WORKER_SCRIPT])
    @pytest.mark.parametrize("failed", [3, 127, 137])
    def test_task_goes_on_while_pgrep_fails(self, polls, script, failed):
        statuses = [0, *[failed] * 8, 0, 1, 1, 1]

        assert polls(script, statuses) == len(statuses)

    @pytest.mark.parametrize("script", [HEAD_SCRIPT, WORKER_SCRIPT])
    def test_task_goes_on_after_two_polls_without_a_raylet(self, polls, script):
        statuses = [0, 1, 1, 0, 1, 1, 3, 1, 1, 0, 1, 1, 1]

        assert polls(script, statuses) == len(statuses)

    @pytest.mark.parametrize("script", [HEAD_SCRIPT, WORKER_SCRIPT])
    def test_task_goes_on_until_a_raylet_has_run(self, polls, script):
        statuses = [*[1] * 8, 0, 1, 1, 1]

        assert polls(script, statuses) == len(statuses)


HEAD_ANSWERS = """\
#!/bin/bash
echo >>"$HOME/polls"
status=$(sed -n "$(wc -l <"$HOME/polls")p" "$HOME/answers")
[ "$status" != REFUSED ] || { echo "bash: connect: Connection refused" >&2; exit 1; }
[ "$status" != 1 ] || echo "bash: connect: No route to host" >&2
exit "$status"
"""


class TestWatchOfTheHead:
    """A worker's task ends without its head; each turn of its loop takes a second here."""

    @pytest.fixture
    def polls(self, home) -> Callable[..., int]:
        """Runs a worker whose polls of its head have these exit statuses. Returns the number of polls."""
        programs = {"ray": RAY_THAT_STAYS, "pgrep": "#!/bin/bash\n", "sleep": "#!/bin/bash\n", "timeout": HEAD_ANSWERS}
        for name, text in programs.items():
            (home / "venv/bin" / name).write_text(text)
            (home / "venv/bin" / name).chmod(0o755)
        clock = ("  read_clock\n  [ -n", "  now=$((now + 1))\n  [ -n")
        end = ("finish() {", 'finish() {\n  cp "$HOME/polls" "$HOME/polls-at-end"')  # it polls too
        script = "now=0\n" + WORKER_SCRIPT.replace(*clock).replace(*end)

        def run(statuses: Sequence[int | str], **environment: str) -> int:
            (home / "answers").write_text("".join(f"{status}\n" for status in statuses))
            with task(script, home, RAY_HEAD_IP=NO_HEAD, **environment) as process:
                wait_for_line(process, f"The head has not answered for {HEAD_LOST_SECONDS} s")
                wait_for_line(process, "Ray stopped")
                assert process.wait(10) == 0
            return len((home / "polls-at-end").read_text().splitlines())

        return run

    def test_task_ends_when_its_head_is_lost(self, polls):
        answers, lost = [0, 0, 0], [124] * 21  # every 2 s, for 40 s

        assert polls([*answers, *lost, *[0] * 9]) == len([*answers, *lost])

    def test_task_goes_on_when_its_head_returns(self, polls):
        statuses = [*[124] * 20, 0, *[1] * 20, 0, *[1] * 21]

        assert polls(statuses) == len(statuses)

    def test_task_goes_on_while_its_heads_machine_refuses_connections(self, polls):
        statuses = [*["REFUSED"] * 9, *[124] * 21]

        assert polls(statuses) == len(statuses)

    def test_task_that_waits_for_its_set_up_ends_when_its_head_is_lost(self, polls):
        assert polls([124] * 21, RAYDOG_UPDATER="sets-up") == 21

    def test_task_whose_updater_starts_ray_ends_when_its_head_is_lost(self, polls):
        assert polls([124] * 21, RAYDOG_UPDATER="starts-ray", RAY_CLOUD_INSTANCE_ID="worker-1") == 21


@pytest.mark.parametrize("step", [-3600, 60])
def test_worker_polls_its_lost_head_after_a_step_of_the_clock(home, step):
    (home / "answers").write_text("124\n" * 99)
    for name, text in {"ray": RAY_THAT_STAYS, "timeout": HEAD_ANSWERS}.items():
        (home / "venv/bin" / name).write_text(text)
        (home / "venv/bin" / name).chmod(0o755)
    step_of_clock = ("watch_head() {", f"watch_head() {{\n  SECONDS=$((SECONDS + {step}))")
    end = ("finish() {", 'finish() {\n  touch "$HOME/ended"')  # it polls too
    script = WORKER_SCRIPT.replace(*step_of_clock).replace(*end)
    with task(script, home, RAY_HEAD_IP=NO_HEAD):
        deadline = time.monotonic() + 10
        while not (home / "polls").exists() or len((home / "polls").read_text().splitlines()) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert not (home / "ended").exists()


SLOW_TO_STOP = """\
#!/bin/bash
case "$*" in
  "stop --force") kill -KILL "$(cat "$HOME/ray.pid")"; touch "$HOME/forced" ;;
  stop) /bin/sleep 5 & echo "stop requested"; wait; kill "$(cat "$HOME/ray.pid")" ;;
  *) echo $$ >"$HOME/ray.pid"; raylet & wait; exec /bin/sleep 60 ;;
esac
"""

A_HEAD, NO_HEAD = "127.9.9.9", "127.9.9.8"
"""Addresses of this machine at which nothing else is likely to serve Ray's port."""


@pytest.fixture
def slow_home(home) -> Path:
    """A home whose Ray takes long to stop, as Ray does without the head's control store."""
    (home / "venv/bin/ray").write_text(SLOW_TO_STOP)
    (home / "venv/bin/raylet").write_text("#!/bin/bash\nexec /bin/sleep 60\n")
    return home


def test_ray_stop_is_forced_without_a_head(slow_home):
    with task(WORKER_SCRIPT, slow_home, RAY_HEAD_IP=NO_HEAD) as process:
        wait_for_file(slow_home / "ray.pid")
        process.terminate()
        wait_for_line(process, "Ray stopped")

    assert (slow_home / "forced").exists()


def test_ray_stop_is_not_forced_while_the_head_answers(slow_home):
    with (
        socket.create_server((A_HEAD, GCS_PORT), backlog=100),
        task(WORKER_SCRIPT, slow_home, RAY_HEAD_IP=A_HEAD) as process,
    ):
        wait_for_file(slow_home / "ray.pid")
        process.terminate()
        wait_for_line(process, "stop requested")
        wait_for_line(process, "Ray stopped")

    assert not (slow_home / "forced").exists()


def wait_for_file(file: Path) -> None:
    deadline = time.monotonic() + 10
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} does not appear"
        time.sleep(0.02)


def test_tag_server_listens_on_loopback_only(home):
    if SERVER is None:
        pytest.skip("neither valkey-server nor redis-server is installed: scripts/test installs one")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with task(HEAD_SCRIPT, home, RAYDOG_TAG_SERVER_PORT=str(port)):
        deadline = time.monotonic() + 10
        while not accepts("127.0.0.1", port):
            assert time.monotonic() < deadline, "the tag server does not come up"
            time.sleep(0.02)

        # A second loopback address, where a server on all addresses would answer.
        assert not accepts("127.0.0.2", port)


def accepts(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


@pytest.fixture
def secrets(home) -> tuple[Path, Path]:
    """The files of the head's key and credentials, left by another cluster's head on this machine."""
    files = home / "ray_bootstrap_key.pem", home / ".raydog/credentials"
    for file in files:
        file.write_text("old")
    return files


def test_head_script_deletes_secrets_of_an_earlier_cluster(home, secrets):
    with task(HEAD_SCRIPT, home) as process:
        wait_for_line(process, "Waiting for the cluster's configuration")

        assert not any(file.exists() for file in secrets)
        assert not (home / "ray.pid").exists()


def test_head_script_keeps_secrets_delivered_before_its_start(home, secrets):
    late = f"""
cp {home}/ray_bootstrap_key.pem {home}/new; mv {home}/new {home}/ray_bootstrap_key.pem
{HEAD_SCRIPT}
"""
    with task(late, home) as process:
        wait_for_line(process, "The raylet has exited")


def test_head_script_deletes_its_secrets_at_its_end(home, secrets):
    with task(HEAD_SCRIPT, home) as process:
        wait_for_line(process, "Waiting for the cluster's configuration")
        for file in reversed(secrets):
            file.write_text("new")
        wait_for_line(process, "Ray stopped")
        assert process.wait(10) == 0

    assert not any(file.exists() for file in secrets)


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    assert any(text in line for line in process.stdout)


COMPLETE = {
    "RAYDOG_ON_HEAD": "1",
    "RAY_CLOUD_INSTANCE_ID": "head-0a1b2c3d",
    "PYTHONPATH": f"/opt/yellowdog/agent/{CURRENT}:/opt/mine",
}


@contextmanager
def gcs_server(environment: Mapping[str, str]) -> Iterator[int]:
    """A process with this environment, in place of Ray's."""
    with subprocess.Popen(["sleep", "60"], env={"PATH": "/usr/bin:/bin", **environment}) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def reports_of(process_id: int | str) -> list[str]:
    script = f"pgrep() {{ echo {process_id}; }}; {check_environment_command()}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_environment_check_is_silent_with_a_complete_environment():
    with gcs_server(COMPLETE) as process_id:
        assert reports_of(process_id) == []


@pytest.mark.parametrize("missing", ["RAYDOG_ON_HEAD", "RAY_CLOUD_INSTANCE_ID"])
def test_environment_check_reports_a_missing_variable_with_the_remedy(missing):
    with gcs_server({name: value for name, value in COMPLETE.items() if name != missing}) as process_id:
        (report,) = reports_of(process_id)
    assert f"without {missing} " in report
    assert "provider.ray_head_node_task_script" in report


@pytest.mark.parametrize("python_path", [{}, {"PYTHONPATH": "/opt/mine"}])
def test_environment_check_reports_a_python_path_without_the_sent_package(python_path):
    others = {name: value for name, value in COMPLETE.items() if name != "PYTHONPATH"}
    with gcs_server(others | python_path) as process_id:
        (report,) = reports_of(process_id)
    assert f"without ~/{CURRENT} in PYTHONPATH, and its autoscaler imports the RayDog of the image" in report


def test_environment_check_is_silent_without_access():
    assert reports_of("no-such-process") == []
