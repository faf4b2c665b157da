"""The scripts of workers that may replace their head, and of a new head: run by a real bash with a fake Ray."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.yellowdog_ray.node.fake_home import make_home
from tests.yellowdog_ray.node.test_scripts import RAY, task, wait_for_file, wait_for_line
from yellowdog_ray.node import carrying

TIMEOUT = """\
#!/bin/bash
seconds=$1; shift
[ "$seconds" != 1 ] || { [ ! -e "$HOME/answers" ] || exit 0; echo "No route to host" >&2; exit 1; }
echo "$seconds" >"$HOME/seconds"
exec "$@"
"""

RAYLET = """\
#!/bin/bash
until [ -e "$HOME/.raydog/kit" ] || [ -e "$HOME/no-kit" ]; do /bin/sleep 0.05; done
/bin/sleep 1
"""

PYTHON = """\
#!/bin/bash
if [ "$1" = -I ]; then
  echo $$ >>"$HOME/fetches"
  [ ! -e "$HOME/status" ] || exit "$(cat "$HOME/status")"
  [ "$4" = $PPID ] || exit 1
  [ -e "$HOME/no-kit" ] || { mkdir -p "$5"; touch "$5/carriers"; }
  exec /bin/sleep 60
fi
trap 'echo aborted >"$HOME/carried"; exit' TERM
echo "$* $PYTHONPATH" >"$HOME/carried"
[ ! -e "$HOME/slow" ] || { /bin/sleep 60 & wait; }
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a worker that has got a kit; its raylet leaves soon, and its head does not answer."""
    raylet = RAYLET
    programs = {"ray": RAY, "raylet": raylet, "sleep": "#!/bin/bash\nexec /bin/sleep 0.05\n"}
    return make_home(tmp_path, {**programs, "timeout": TIMEOUT, "python": PYTHON})


@pytest.fixture
def lasting_home(home: Path) -> Path:
    """The same with a raylet that stays."""
    (home / "venv/bin/raylet").write_text("#!/bin/bash\nexec /bin/sleep 60\n")
    return home


NAMES = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/nowhere/token", "RAYDOG_HEAD_RESTART": "900"}


def worker(home: Path, before: str = "") -> Any:
    """The task of a worker, with commands before its script."""
    token = home / ".raydog/tokens/worker-1"
    token.parent.mkdir(parents=True)
    token.touch()
    names = {**NAMES, "RAY_AUTH_TOKEN_PATH": str(token)}
    return task(before + carrying.worker_script(), home, RAY_HEAD_IP="127.9.9.8", **names)


def test_carrier_runs_from_the_kit_after_the_loss_of_the_head(home):
    with worker(home) as process:
        assert process.wait(20) == 0

    kit = home / f".raydog/kit/{process.pid}"
    assert (home / "carried").read_text().split() == ["-m", "yellowdog_ray.carrier", str(kit), f"{kit}/package"]
    assert (home / "seconds").read_text() == "900\n"


def test_kit_and_token_are_deleted_at_the_end_of_the_task(home):
    with worker(home) as process:
        assert process.wait(20) == 0

    assert not (home / ".raydog/kit").exists()
    assert list((home / ".raydog/tokens").iterdir()) == []


@pytest.mark.parametrize("file", ["answers", "no-kit"])
def test_no_carrier_runs_while_the_head_answers_or_without_a_kit(home, file):
    (home / file).touch()
    with worker(home) as process:
        assert process.wait(20) == 0

    assert not (home / "carried").exists()


def test_carrier_runs_on_an_image_without_find(home):
    (home / "venv/bin/find").write_text("#!/bin/bash\nexit 127\n")
    (home / "venv/bin/find").chmod(0o755)
    with worker(home) as process:
        assert process.wait(20) == 0

    assert (home / "carried").exists()


def test_second_task_on_the_machine_keeps_the_kit_of_a_running_one(lasting_home):
    kits = lasting_home / ".raydog/kit"
    with worker(lasting_home) as first:
        wait_for_file(kits / f"{first.pid}/carriers")
        (kits / f"{first.pid}.new").mkdir()
        with task(carrying.worker_script(), lasting_home, RAY_HEAD_IP="127.9.9.8", **NAMES) as second:
            wait_for_file(kits / f"{second.pid}/carriers")

        assert (kits / f"{first.pid}/carriers").exists()
        assert (kits / f"{first.pid}.new").exists()


def fetches(home: Path) -> list[int]:
    """The ids of the processes that have fetched the kit."""
    return [int(line) for line in (home / "fetches").read_text().split()]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that was killed is started again after a second."""
    part = carrying._WORKER_PART.replace(f"now + {carrying.RETRY_SECONDS}", "now + 1")
    monkeypatch.setattr(carrying, "_WORKER_PART", part)


@pytest.mark.usefixtures("soon")
def test_fetch_that_was_killed_loses_its_kit_and_is_started_again(lasting_home):
    with worker(lasting_home) as process:
        kit = lasting_home / f".raydog/kit/{process.pid}"
        wait_for_file(kit / "carriers")
        (kit / "secret").touch()
        os.kill(fetches(lasting_home)[0], signal.SIGKILL)
        deadline = time.monotonic() + 10
        while len(fetches(lasting_home)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        wait_for_file(kit / "carriers")
        assert not (kit / "secret").exists()


@pytest.mark.usefixtures("soon")
def test_fetch_is_not_started_again_where_no_carrier_runs(lasting_home):
    (lasting_home / "status").write_text(str(carrying._CANNOT_CARRY))
    with worker(lasting_home):
        wait_for_file(lasting_home / "ray.pid")
        time.sleep(2)

    assert len(fetches(lasting_home)) == 1


def test_output_has_no_program_text_after_the_fetch_was_killed(lasting_home):
    with worker(lasting_home, "exec 2>>errors\n") as process:
        wait_for_file(lasting_home / f".raydog/kit/{process.pid}/carriers")
        os.kill(fetches(lasting_home)[0], signal.SIGKILL)
        time.sleep(1.5)
        process.terminate()
        process.wait(20)

    assert "import" not in (lasting_home / "errors").read_text()


def test_no_carrier_runs_in_an_aborted_task(lasting_home):
    home = lasting_home
    with worker(home) as process:
        wait_for_file(home / f".raydog/kit/{process.pid}/carriers")
        wait_for_file(home / "ray.pid")
        process.terminate()
        assert process.wait(20) == 143

    assert not (home / "carried").exists()
    assert not (home / ".raydog/kit").exists()


def test_abort_ends_the_carrier_at_once(home):
    (home / "slow").touch()
    with worker(home) as process:
        wait_for_file(home / "carried")
        process.terminate()
        process.wait(10)

    assert (home / "carried").read_text() == "aborted\n"
    assert not (home / ".raydog/kit").exists()


SLOW_STOP = RAY.replace(" stop ]; then\n", ' stop ]; then\n  touch "$HOME/stopping"; /bin/sleep 2\n', 1)


@pytest.fixture
def slow_home(home: Path) -> Path:
    """The same with a `ray stop` that takes time."""
    (home / "venv/bin/ray").write_text(SLOW_STOP)
    return home


def test_no_carrier_runs_after_an_abort_during_ray_stop(slow_home):
    with worker(slow_home) as process:
        wait_for_file(slow_home / "stopping")
        assert (slow_home / ".raydog/kit").exists()
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 1
        while (slow_home / ".raydog/kit").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        output, _ = process.communicate(timeout=20)

    assert "Ray stopped" in output
    assert not (slow_home / "carried").exists()


def test_kit_is_deleted_before_ray_stop_in_an_aborted_task(slow_home):
    (slow_home / "venv/bin/raylet").write_text("#!/bin/bash\nexec /bin/sleep 60\n")
    with worker(slow_home) as process:
        wait_for_file(slow_home / f".raydog/kit/{process.pid}/carriers")
        wait_for_file(slow_home / "ray.pid")
        process.terminate()
        wait_for_file(slow_home / "stopping")
        os.killpg(process.pid, signal.SIGKILL)

    assert not (slow_home / ".raydog/kit").exists()


@pytest.mark.parametrize("uptime", ["/proc/uptime", "/nowhere/uptime"])
def test_new_head_ends_without_its_files(home, uptime):
    script = carrying.head_script().replace("/proc/uptime", uptime)
    with task(script, home, RAYDOG_HEAD_RESTART="1") as process:
        wait_for_line(process, "No worker has sent this head its files")
        assert process.wait(10) == 1


def test_head_of_ray_up_waits_longer(home):
    with task(carrying.head_script(), home, RAYDOG_HEAD_RESTART="0") as process:
        wait_for_line(process, "Waiting for the cluster's configuration")
        time.sleep(1.5)
        assert process.poll() is None


def test_new_head_waits_for_its_files_after_a_step_of_the_clock(home):
    script = carrying.head_script().replace("within_time() {", "within_time() {\n  SECONDS=900")
    with task(script, home, RAYDOG_HEAD_RESTART="900") as process:
        wait_for_line(process, "Waiting for the cluster's configuration")
        time.sleep(1.5)
        assert process.poll() is None


def test_script_of_another_origin_is_refused():
    with pytest.raises(ValueError, match="without the part"):
        carrying.worker_script("ray start")
