"""The program that fetches the kit on a worker: run with a real token service."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import yellowdog_ray
from tests.yellowdog_ray.node.test_scripts import wait_for_file
from yellowdog_ray.monitor.certificate import Certificate
from yellowdog_ray.monitor.token_service import TokenService
from yellowdog_ray.node import carrying
from yellowdog_ray.node.kit import OLD_SECONDS
from yellowdog_ray.remote.package import pack


def kit_of(archive: bytes) -> dict[str, str]:
    """The answer with a kit."""
    digest = hashlib.sha256(archive).hexdigest()
    return {"archive": base64.b64encode(archive).decode(), "digest": digest, "carriers": "worker-1"}


class Service:
    """A head's token service, which gives a kit to whoever requests it and has another one."""

    def __init__(self, folder: Path) -> None:
        self.certificate = Certificate(folder / "service.pem")
        self.requests: list[Mapping[str, str]] = []
        self.answer: Any = {}
        self._service = TokenService(self.certificate.context(), self._answer, 0)
        self.port = self._service.port

    def _answer(self, request: Mapping[str, str], _: str) -> Any:
        self.requests.append(request)
        if not isinstance(self.answer, dict):
            return self.answer
        has_it = request["kit"] == self.answer.get("digest")
        return {name: value for name, value in self.answer.items() if not (has_it and name == "archive")}

    def give(self, files: Mapping[str, bytes]) -> None:
        self.answer = kit_of(pack(files, mode=0o600))

    def close(self) -> None:
        self._service.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A token service."""
    made = Service(tmp_path)
    yield made
    made.close()


TASK_SCRIPT = '"${@:1:5}" $$ "${@:6}" & wait'
"""Runs the fetch as a task's script does."""


def wait_until_gone(*files: Path) -> None:
    deadline = time.monotonic() + 10
    while any(file.exists() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def fetch(tmp_path: Path, service: Service) -> Callable[..., Any]:
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
    def run(script: str = "", parent: int = os.getpid(), **changes: str) -> Iterator[subprocess.Popen[bytes]]:
        text = carrying._FETCH.replace(f"return {carrying.RENEW_SECONDS}", "return 0.2")
        text = text.replace(f"pause = {carrying.RENEW_SECONDS}", "pause = 0.2")
        program = [sys.executable, "-I", "-S", "-c", text]
        files = [str(tmp_path / "kit"), str(tmp_path / "token")]
        below = ["bash", "-c", script, "bash", *program, *files]
        line = below if script else [*program, str(parent), *files]
        with subprocess.Popen(line, env={**names, **changes}, stderr=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.kill()

    return run


def test_worker_gets_a_private_kit(fetch, service, tmp_path):
    service.give({"manifest.json": b"{}", "package/other/file": b"x"})
    with fetch():
        wait_for_file(tmp_path / "kit/carriers")

    assert (tmp_path / "kit/carriers").read_text() == "worker-1"
    assert (tmp_path / "kit/package/other/file").read_bytes() == b"x"
    modes = {path.stat().st_mode & 0o777 for path in [tmp_path / "kit", *(tmp_path / "kit").rglob("*")]}
    assert modes == {0o600, 0o700}
    assert service.requests[0] == {"kit": "", "node": "worker-1", "token": "the-token"}


def test_token_is_sent_to_no_other_service(fetch, service):
    with fetch(RAYDOG_TOKEN_FINGERPRINT="0" * 64):
        time.sleep(2.5)

    assert service.requests == []


def test_reason_is_printed_at_the_first_failure_only(fetch):
    with fetch(RAYDOG_TOKEN_FINGERPRINT="0" * 64) as process:
        time.sleep(2.5)
        process.kill()
        lines = process.stderr.read().decode().splitlines()

    assert lines == ["RayDog: this worker could not get the head's files: OSError another certificate"]


def test_answer_that_was_cut_is_a_reason(fetch, service):
    service.answer = {"carriers": 1j}  # the service fails, and closes the connection
    with fetch() as process:
        assert b"the head closed the connection after 0 bytes" in process.stderr.readline()


def test_kit_is_deleted_after_the_task_was_killed(fetch, service, tmp_path):
    service.give({"manifest.json": b"{}", "package/file": b"x"})
    with fetch(TASK_SCRIPT) as task_script:
        wait_for_file(tmp_path / "kit/carriers")
        (tmp_path / "kit.new").mkdir(exist_ok=True)
        task_script.kill()
        wait_until_gone(tmp_path / "kit", tmp_path / "kit.new")


def test_kit_is_deleted_soon_after_the_task_was_killed_during_its_check(fetch, service, tmp_path):
    service.give({"manifest.json": b"{}", "package/yellowdog_ray/__init__.py": b"import time; time.sleep(60)"})
    with fetch(TASK_SCRIPT) as task_script:
        wait_for_file(tmp_path / "kit.new/manifest.json")
        time.sleep(0.5)
        task_script.kill()
        wait_until_gone(tmp_path / "kit.new")


def test_fetch_ends_without_a_request_if_its_task_was_killed_before(fetch, service):
    with fetch(parent=2**22) as process:
        assert process.wait(10) == 1

    assert service.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        *(5, None, "carriers", ["wait"], {}, {"wait": None}, {"wait": []}, {"carriers": 5}, {"carriers": "w"}),
        *({"carriers": "w", "archive": archive, "digest": "0"} for archive in (5, "%", "")),
        kit_of(b"no archive"),
        kit_of(pack({"manifest.json": b"{}"})[:60]),
    ],
)
def test_fetch_goes_on_after_an_answer_of_another_form(fetch, service, tmp_path, answer):
    service.answer = answer
    with fetch() as process:
        line = process.stderr.readline().decode()
        service.give({"manifest.json": b"{}", "package/file": b"x"})
        wait_for_file(tmp_path / "kit/carriers")
        process.kill()
        assert process.stderr.read() == b""

    assert "could not get the head's files" in line


def test_parts_of_a_damaged_kit_are_deleted(fetch, service, tmp_path):
    service.answer = kit_of(pack({"manifest.json": b"{}"})[:60])
    with fetch() as process:
        process.stderr.readline()
        service.answer = {}
        time.sleep(0.5)
        assert not (tmp_path / "kit.new").exists()


@pytest.mark.parametrize("seconds", ["-1", "0", "9" * 30])
def test_worker_waits_within_limits(fetch, service, tmp_path, seconds):
    (tmp_path / "kit").mkdir()
    service.answer = {"wait": seconds}
    with fetch() as process:
        wait_until_gone(tmp_path / "kit")
        time.sleep(0.5)
        assert process.poll() is None

    assert len(service.requests) == 1


def test_answer_is_not_in_the_output(fetch, service, tmp_path):
    (tmp_path / "kit").mkdir()
    service.answer = {"carriers": "secret\ud800"}
    with fetch() as process:
        assert b"secret" not in process.stderr.readline()


def test_kit_is_deleted_that_cannot_be_renewed(fetch, service, tmp_path, monkeypatch):
    monkeypatch.setattr(carrying, "_FETCH", carrying._FETCH.replace(f"> {OLD_SECONDS}", "> 2"))
    service.give({"manifest.json": b"{}", "package/file": b"x"})
    with fetch():
        wait_for_file(tmp_path / "kit/carriers")
        service.answer = {}
        time.sleep(1)
        assert (tmp_path / "kit").exists()
        wait_until_gone(tmp_path / "kit")


def test_kit_that_another_program_deleted_is_requested_again(fetch, service, tmp_path):
    service.give({"manifest.json": b"{}", "package/file": b"x"})
    with fetch():
        wait_for_file(tmp_path / "kit/carriers")
        (tmp_path / "kit").rename(tmp_path / "moved")
        wait_for_file(tmp_path / "kit/carriers")


def test_worker_is_no_carrier_where_the_program_does_not_run(fetch, service, tmp_path):
    service.give({"package/yellowdog_ray/__init__.py": b"raise ImportError('of another Python')"})
    with fetch() as process:
        assert process.wait(20) == carrying._CANNOT_CARRY
        assert b"of another Python" in process.stderr.read()

    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize("failure", ["OSError(24, 'Too many open files')", "MemoryError()"])
def test_check_that_fails_for_a_passing_reason_is_repeated(fetch, service, tmp_path, failure):
    service.give({"package/yellowdog_ray/__init__.py": f"raise {failure}".encode()})
    with fetch() as process:
        assert failure.partition("(")[0].encode() in process.stderr.readline()
        service.give({"manifest.json": b"{}", "package/file": b"x"})
        wait_for_file(tmp_path / "kit/carriers")


def test_kit_that_vanishes_during_its_check_is_requested_again(fetch, service, tmp_path):
    module = f"import shutil; shutil.rmtree({str(tmp_path / 'kit.new')!r})"
    service.give({"package/yellowdog_ray/__init__.py": module.encode()})
    with fetch() as process:
        assert b"another program deletes the kit" in process.stderr.readline()
        service.give({"manifest.json": b"{}", "package/file": b"x"})
        wait_for_file(tmp_path / "kit/carriers")


def test_output_has_no_program_text_after_a_timeout_of_the_check(fetch, service, monkeypatch):
    monkeypatch.setattr(carrying, "_FETCH", carrying._FETCH.replace("timeout=120", "timeout=0.5"))
    service.give({"package/yellowdog_ray/__init__.py": b"import time; time.sleep(60)"})
    with fetch() as process:
        line = process.stderr.readline().decode()

    assert line == "RayDog: this worker could not get the head's files: TimeoutExpired\n"


def test_kit_has_the_time_of_its_renewal(fetch, service, tmp_path):
    service.give({"manifest.json": b"{}", "package/file": b"x"})
    with fetch():
        wait_for_file(tmp_path / "kit/carriers")
        renewed = float((tmp_path / "kit/renewed").read_text())

    assert 0 <= time.clock_gettime(time.CLOCK_BOOTTIME) - renewed < 20


def test_kit_is_deleted_when_the_worker_is_a_carrier_no_more(fetch, service, tmp_path):
    (tmp_path / "kit").mkdir()
    service.answer = {"wait": "300"}
    with fetch():
        wait_until_gone(tmp_path / "kit")
