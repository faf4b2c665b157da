"""The scripts of workers that may replace their head, and of a new head: run by a real bash with a fake Ray."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import yellowdog_ray
from tests.yellowdog_ray.node.fake_home import make_home
from tests.yellowdog_ray.node.test_scripts import RAY, task, wait_for_file, wait_for_line
from yellowdog_ray.monitor.certificate import Certificate
from yellowdog_ray.monitor.token_service import TokenService
from yellowdog_ray.node import carrying
from yellowdog_ray.remote.package import pack

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
  [ -e "$HOME/no-kit" ] || { mkdir -p "$4"; touch "$4/carriers"; }
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


def worker(home: Path) -> Any:
    """The task of a worker."""
    token = home / ".raydog/tokens/worker-1"
    token.parent.mkdir(parents=True)
    token.touch()
    names = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAYDOG_HEAD_RESTART": "900"}
    return task(carrying.worker_script(), home, RAY_HEAD_IP="127.9.9.8", **names)


def test_carrier_runs_from_the_kit_after_the_loss_of_the_head(home):
    with worker(home) as process:
        assert process.wait(20) == 0

    kit = home / ".raydog/kit"
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


def test_no_carrier_runs_in_an_aborted_task(home):
    (home / "venv/bin/raylet").write_text("#!/bin/bash\nexec /bin/sleep 60\n")
    with worker(home) as process:
        wait_for_file(home / ".raydog/kit/carriers")
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
        wait_for_file(slow_home / ".raydog/kit/carriers")
        wait_for_file(slow_home / "ray.pid")
        process.terminate()
        wait_for_file(slow_home / "stopping")
        os.killpg(process.pid, signal.SIGKILL)

    assert not (slow_home / ".raydog/kit").exists()


def test_new_head_ends_without_its_files(home):
    with task(carrying.head_script(), home, RAYDOG_HEAD_RESTART="1") as process:
        wait_for_line(process, "No worker has sent this head its files")
        assert process.wait(10) == 1


def test_head_of_ray_up_waits_longer(home):
    with task(carrying.head_script(), home, RAYDOG_HEAD_RESTART="0") as process:
        wait_for_line(process, "Waiting for the cluster's configuration")
        time.sleep(1.5)
        assert process.poll() is None


def test_script_of_another_origin_is_refused():
    with pytest.raises(ValueError, match="without the part"):
        carrying.worker_script("ray start")


class Service:
    """A head's token service, which gives a kit to whoever requests it and has another one."""

    def __init__(self, folder: Path) -> None:
        self.certificate = Certificate(folder / "service.pem")
        self.requests: list[Mapping[str, str]] = []
        self.answer: dict[str, str] = {}
        self._service = TokenService(self.certificate.context(), self._answer, 0)
        self.port = self._service.port

    def _answer(self, request: Mapping[str, str], _: str) -> Mapping[str, str]:
        self.requests.append(request)
        has_it = request["kit"] == self.answer.get("digest")
        return {name: value for name, value in self.answer.items() if not (has_it and name == "archive")}

    def give(self, files: Mapping[str, bytes]) -> None:
        archive = pack(files, mode=0o600)
        digest = hashlib.sha256(archive).hexdigest()
        self.answer = {"archive": base64.b64encode(archive).decode(), "digest": digest, "carriers": "worker-1"}

    def close(self) -> None:
        self._service.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A token service."""
    made = Service(tmp_path)
    yield made
    made.close()


class TestFetching:
    @pytest.fixture
    def fetch(self, tmp_path: Path, service: Service) -> Callable[..., Any]:
        """Runs the program that fetches the kit, below a parent and with other variables. It soon requests it again."""
        (tmp_path / "token").write_text("the-token")
        names = {
            "RAY_HEAD_IP": "127.0.0.1",
            "RAYDOG_TOKEN_SERVICE": str(service.port),
            "RAYDOG_TOKEN_FINGERPRINT": service.certificate.fingerprint,
            "RAY_CLOUD_INSTANCE_ID": "worker-1",
            "PYTHONPATH": str(Path(yellowdog_ray.__path__[0]).parent),
            "PATH": os.environ["PATH"],
        }

        @contextmanager
        def run(*parent: str, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
            program = carrying._FETCH.replace(f"pause = {carrying.RENEW_SECONDS}", "pause = 0.2")
            line = [sys.executable, "-I", "-S", "-c", program, str(tmp_path / "kit"), str(tmp_path / "token")]
            with subprocess.Popen([*parent, *line], env={**names, **changes}, stderr=subprocess.PIPE) as process:
                try:
                    yield process
                finally:
                    process.kill()

        return run

    def test_worker_gets_a_private_kit(self, fetch, service, tmp_path):
        service.give({"manifest.json": b"{}", "package/other/file": b"x"})
        with fetch():
            wait_for_file(tmp_path / "kit/carriers")

        assert (tmp_path / "kit/carriers").read_text() == "worker-1"
        assert (tmp_path / "kit/package/other/file").read_bytes() == b"x"
        modes = {path.stat().st_mode & 0o777 for path in [tmp_path / "kit", *(tmp_path / "kit").rglob("*")]}
        assert modes == {0o600, 0o700}
        assert service.requests[0] == {"kit": "", "node": "worker-1", "token": "the-token"}

    def test_token_is_sent_to_no_other_service(self, fetch, service):
        with fetch(RAYDOG_TOKEN_FINGERPRINT="0" * 64):
            time.sleep(2.5)

        assert service.requests == []

    def test_reason_is_printed_at_the_first_failure_only(self, fetch):
        with fetch(RAYDOG_TOKEN_FINGERPRINT="0" * 64) as process:
            time.sleep(2.5)
            process.kill()
            lines = process.stderr.read().decode().splitlines()

        assert lines == ["RayDog: this worker could not get the head's files: OSError('another certificate')"]

    def test_answer_that_was_cut_is_a_reason(self, fetch, service):
        service.answer = {"carriers": 1j}  # the service fails, and closes the connection
        with fetch() as process:
            assert b"the head closed the connection after 0 bytes" in process.stderr.readline()

    def test_kit_is_deleted_after_the_task_was_killed(self, fetch, service, tmp_path):
        service.give({"manifest.json": b"{}", "package/file": b"x"})
        with fetch("bash", "-c", '"$@" & wait', "bash") as task_script:
            wait_for_file(tmp_path / "kit/carriers")
            (tmp_path / "kit.new").mkdir(exist_ok=True)
            task_script.kill()
            deadline = time.monotonic() + 10
            while (tmp_path / "kit").exists() or (tmp_path / "kit.new").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def test_kit_that_another_program_deleted_is_requested_again(self, fetch, service, tmp_path):
        service.give({"manifest.json": b"{}", "package/file": b"x"})
        with fetch():
            wait_for_file(tmp_path / "kit/carriers")
            (tmp_path / "kit").rename(tmp_path / "moved")
            wait_for_file(tmp_path / "kit/carriers")

    def test_worker_is_no_carrier_where_the_program_does_not_run(self, fetch, service, tmp_path):
        service.give({"package/yellowdog_ray/__init__.py": b"raise ImportError('of another Python')"})
        with fetch() as process:
            assert process.wait(20) == 1
            assert b"of another Python" in process.stderr.read()

        assert not (tmp_path / "kit").exists()

    def test_kit_is_deleted_when_the_worker_is_a_carrier_no_more(self, fetch, service, tmp_path):
        (tmp_path / "kit").mkdir()
        service.answer = {"wait": "300"}
        with fetch():
            deadline = time.monotonic() + 10
            while (tmp_path / "kit").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
