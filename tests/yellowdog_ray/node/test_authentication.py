"""The lines in front of task scripts: a worker gets its token for its ticket, whatever the script below does."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.yellowdog_ray.node.worker_task import SHOW, TOKEN, Door
from yellowdog_ray.monitor.token_service import TokenService
from yellowdog_ray.node import authentication, variables
from yellowdog_ray.node.authentication import head_script, worker_script
from yellowdog_ray.node.scripts import HEAD_LOST_SECONDS


def test_worker_gets_the_token_into_a_private_file(worker, door):
    done = worker.run()

    assert done.returncode == 0, done.stderr
    assert worker.token.read_text() == TOKEN
    assert worker.token.stat().st_mode & 0o777 == 0o600
    assert worker.token.parent.stat().st_mode & 0o777 == 0o700
    assert f"path {worker.token}" in done.stdout
    (request,) = door.requests
    assert (request["node"], request["ticket"]) == ("worker-1", "the-ticket")
    assert len(request["nonce"]) == 32


def test_script_has_neither_ticket_nor_token_in_its_environment(worker):
    worker.environment[variables.AUTH_TOKEN] = "of-the-image"

    done = worker.run()

    assert "ticket []" in done.stdout
    assert "the-ticket" not in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    assert "of-the-image" not in done.stdout


def test_old_token_of_the_image_is_not_used(worker):
    old = worker.home / ".ray/auth_token"
    old.parent.mkdir()
    old.write_text("old")
    worker.environment[variables.AUTH_TOKEN_PATH] = str(old)

    done = worker.run(f'cat "${variables.AUTH_TOKEN_PATH}"')

    assert done.stdout == TOKEN
    assert old.read_text() == "old"


@pytest.mark.parametrize(
    "script", ["exit 7", "#!/bin/bash\nset -euo pipefail\nexit 7", "#!/usr/bin/env bash\nexit 7\n"]
)
def test_users_script_runs_below(worker, script):
    assert worker.run(script).returncode == 7


def test_interpreter_line_stays_first():
    assert worker_script("#!/bin/bash\nx").startswith("#!/bin/bash\n#")
    assert head_script("#!/bin/bash\nx").startswith("#!/bin/bash\n#")
    assert worker_script("x").endswith("\n\nx")


def test_refused_worker_ends_with_one_message(worker, door):
    door.answers = [{"refused": "the ticket has expired"}]

    done = worker.run()

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "RayDog: this worker gets no token of its cluster, and cannot join: the ticket has expired\n"
    )
    assert not worker.token.exists()


@pytest.mark.parametrize("blocked", [".raydog", ".raydog/tokens/worker-1"])
def test_token_that_cannot_be_written_ends_the_task_with_one_message(worker, blocked):
    place = worker.home / blocked
    if blocked == ".raydog":
        place.write_text("a file")
    else:
        place.mkdir(parents=True)

    done = worker.run()

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"{worker.token} cannot be written: " in line


def test_workers_folders_are_private_whatever_the_umask(worker):
    umask = os.umask(0)
    try:
        worker.run()
    finally:
        os.umask(umask)

    assert [folder.stat().st_mode & 0o777 for folder in list(worker.token.parents)[:2]] == [0o700, 0o700]


_CUT = """answer = request(source)
        if "cut" in answer:
            raise ConnectionResetError("cut")"""


class TestSeveralAddresses:
    """The system chooses the address that a connection comes from; the platform may list another."""

    REFUSAL: Mapping[str, str] = {"refused": "the request comes from 127.0.0.1: the platform lists this node elsewhere"}

    def test_worker_connects_from_a_listed_address(self, worker, door):
        door.answers = [{**self.REFUSAL, "elsewhere": "192.0.2.1 127.0.0.77"}]

        assert worker.run().returncode == 0
        assert door.addresses == ["127.0.0.1", "127.0.0.77"]
        assert len({request["nonce"] for request in door.requests}) == 1

    def test_worker_that_has_no_listed_address_ends_with_the_reason(self, worker, door):
        door.answers = [{**self.REFUSAL, "elsewhere": "192.0.2.1"}]

        done = worker.run()

        assert done.returncode == 1
        assert done.stderr.endswith(f"cannot join: {self.REFUSAL['refused']}\n")

    @pytest.mark.parametrize("first", ["::1", "10.99.0.1", "nosuch.invalid", "fd00::1"])
    def test_worker_goes_on_after_an_address_from_which_it_cannot_connect(self, worker, door, first):
        door.answers = [{**self.REFUSAL, "elsewhere": f"{first} 127.0.0.77"}]

        assert worker.run().returncode == 0
        assert door.addresses == ["127.0.0.1", "127.0.0.77"]

    @pytest.mark.parametrize("only", ["::1", "nosuch.invalid"])
    def test_worker_with_no_usable_address_ends_with_the_reason(self, worker, door, only):
        door.answers = [{**self.REFUSAL, "elsewhere": only}]

        assert worker.run().stderr.endswith(f"cannot join: {self.REFUSAL['refused']}\n")

    def test_worker_ends_with_the_last_reason_of_the_service(self, worker, door):
        door.answers = [{**self.REFUSAL, "elsewhere": "127.0.0.77 192.0.2.1"}, {"refused": "redeemed before"}]

        assert worker.run().stderr.endswith("cannot join: redeemed before\n")

    def test_worker_tries_its_addresses_in_turn_when_a_connection_fails(self, worker, door):
        """A route may exist from one of them only, and the service may be away for a moment."""
        door.answers = [{**self.REFUSAL, "elsewhere": "127.0.0.77 127.0.0.78"}, *[{"cut": ""}] * 3]
        script = worker_script(SHOW).replace("answer = request(source)", _CUT)
        task = worker.home / "taskdata.txt"
        task.write_text(script)

        done = subprocess.run(
            ["bash", str(task)], env=worker.environment, capture_output=True, text=True, timeout=30, check=False
        )

        assert done.returncode == 0, done.stderr
        assert door.addresses == ["127.0.0.1", "127.0.0.77", "127.0.0.78", "127.0.0.77", "127.0.0.78"]

    def test_worker_refused_at_every_address_ends_with_the_reason(self, worker, door):
        door.answers = [{**self.REFUSAL, "elsewhere": "127.0.0.77 127.0.0.78"}] * 5

        done = worker.run()

        assert done.returncode == 1
        assert door.addresses == ["127.0.0.1", "127.0.0.77", "127.0.0.78"]


def test_worker_tries_again_with_the_same_nonce(worker, door):
    door.answers = [{"retry": "not yet"}, {"retry": "not yet"}]

    assert worker.run().returncode == 0
    assert len(door.requests) == 3
    assert len({request["nonce"] for request in door.requests}) == 1


def test_worker_waits_for_a_service_that_restarts(worker, service, certificate, door):
    service.close()
    with subprocess.Popen(worker.command(), env=worker.environment, stdout=subprocess.DEVNULL) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.4)
        again = TokenService(certificate.context(), door, service.port)
        assert process.wait(10) == 0
    again.close()
    service.close = lambda: None


def test_worker_sends_nothing_to_another_program(worker, door, tmp_path, monkeypatch):
    monkeypatch.setitem(worker.environment, variables.TOKEN_FINGERPRINT, "0" * 64)

    done = worker.run()

    assert done.returncode == 1
    assert "is not the head's token service" in done.stderr
    assert door.requests == []


def test_worker_gives_the_reason_after_its_last_attempt(worker, service, monkeypatch):
    service.close()
    service.close = lambda: None
    script = worker_script(SHOW).replace(f"time.monotonic() + {authentication.RETRY_SECONDS}", "time.monotonic()")
    task = worker.home / "taskdata.txt"
    task.write_text(script)

    done = subprocess.run(
        ["bash", str(task)], env=worker.environment, capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 1
    assert f"no answer from 127.0.0.1, port {service.port}" in done.stderr


def test_worker_ends_early_when_the_heads_machine_does_not_answer(worker):
    worker.environment[variables.HEAD_IP] = "255.255.255.255"  # no machine has it: a connection fails at once
    task = worker.home / "taskdata.txt"
    task.write_text(worker_script(SHOW).replace(f"contact[0] > {HEAD_LOST_SECONDS}", "contact[0] > 0.2"))

    done = subprocess.run(
        ["bash", str(task)], env=worker.environment, capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 1
    assert f"({HEAD_LOST_SECONDS} s); is the head's machine lost" in done.stderr


def test_worker_without_python_ends_with_one_message(worker, tmp_path):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "bash").symlink_to(str(shutil.which("bash")))
    worker.environment["PATH"] = str(bin_folder)

    done = worker.run()

    assert done.returncode == 1
    assert done.stderr.startswith("RayDog: python3 is missing on this image")


def test_python_of_the_agents_environment_is_used_first(worker):
    link = worker.home / "venv/bin/python"
    link.parent.mkdir(parents=True)
    link.symlink_to(sys.executable)
    (worker.home / "bin").mkdir()
    (worker.home / "bin/bash").symlink_to(str(shutil.which("bash")))
    for tool in ("env", "cat"):
        (worker.home / "bin" / tool).symlink_to(str(shutil.which(tool)))
    worker.environment["PATH"] = str(worker.home / "bin")

    assert worker.run().returncode == 0


def test_ticket_is_in_no_argument_list_of_the_task(worker, door):
    seen: list[bytes] = []

    def look(request: Mapping[str, str], _: str) -> Mapping[str, str]:
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and process.name != str(os.getpid()):
                try:
                    seen.append((process / "cmdline").read_bytes())
                except OSError:
                    continue
        return {"token": TOKEN}

    door.__class__ = type("Looking", (Door,), {"__call__": lambda self, request, at: look(request, at)})

    assert worker.run().returncode == 0
    assert any(str(worker.token).encode() in line for line in seen), "the redeeming process was seen"
    assert not any(b"the-ticket" in line or TOKEN.encode() in line for line in seen)


def test_python_ends_when_its_task_is_aborted(worker, door):
    """An abort kills the shell; a process that goes on would hold a machine of the user's own."""
    door.answers = [{"retry": "not yet"}] * 1000
    with subprocess.Popen(worker.command(), env=worker.environment, stdout=subprocess.DEVNULL) as process:
        assert became(lambda: bool(door.requests and redeeming(worker)))
        process.kill()
        process.wait(5)

    assert became(lambda: not redeeming(worker))
    assert len(door.requests) < 1000


def redeeming(worker):
    """The processes that have the token's file in their arguments: the task's Python and its shell."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(worker.token).encode() in (process / "cmdline").read_bytes():
                found.append(process.name)
    return found


def became(true):
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


class TestHead:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        (tmp_path / ".ray").mkdir()
        return tmp_path

    def run(self, home: Path, script: str) -> subprocess.CompletedProcess[str]:
        task = home / "taskdata.txt"
        task.write_text(head_script(script))
        environment = {"PATH": os.environ["PATH"], variables.AGENT_HOME: str(home), variables.AUTH_TOKEN: "image's"}
        return subprocess.run(
            ["bash", str(task)], env=environment, capture_output=True, text=True, timeout=10, check=False
        )

    def test_ray_reads_the_delivered_file(self, home):
        done = self.run(home, f'echo "${variables.AUTH_TOKEN_PATH} [${{{variables.AUTH_TOKEN}:-}}]"')

        assert done.stdout == f"{home}/.ray/auth_token []\n"
        assert done.stderr == ""

    def test_old_token_of_the_image_is_deleted(self, home):
        (home / ".ray/auth_token").write_text("old")
        time.sleep(0.02)  # a file system's clock is coarse

        self.run(home, "true")

        assert not (home / ".ray/auth_token").exists()

    def test_delivered_token_stays(self, home):
        task = home / "taskdata.txt"
        task.write_text(head_script("true"))
        time.sleep(0.02)
        (home / ".ray/auth_token").write_text("new")

        subprocess.run(
            ["bash", str(task)], env={"PATH": os.environ["PATH"], variables.AGENT_HOME: str(home)}, check=True
        )

        assert (home / ".ray/auth_token").read_text() == "new"
