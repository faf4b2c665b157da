"""The head's start command reports that Ray is up only when Ray of this cluster listens on the control store's port."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from yellowdog_ray.node.ports import GCS_PORT
from yellowdog_ray.node.scripts import wait_for_ray_command

HEAD = "head-0a1b2c3d"
COMPLETE = {"RAYDOG_ON_HEAD": "1", "RAY_CLOUD_INSTANCE_ID": HEAD}
OTHER = {"RAYDOG_ON_HEAD": "1", "RAY_CLOUD_INSTANCE_ID": "head-99999999"}

SERVER = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listens", flush=True)
while True:
    connection, _ = server.accept()
    connection.sendall(sys.argv[2].encode("latin-1"))
    connection.close()
"""

REDIS = "-ERR unknown command"
RAY = "\0\0\x12\x04"
"""The first bytes of a gRPC server: an HTTP/2 frame of settings."""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(environment: dict[str, str], port: int | None = None, reply: str = "") -> Iterator[int]:
    """A process with this environment, which may listen on a port."""
    command = ["sleep", "60"] if port is None else [sys.executable, "-c", SERVER, str(port), repr_of(reply)]
    environment = {"PATH": os.environ["PATH"], **environment}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as started:
        try:
            if port is not None:
                assert started.stdout
                assert started.stdout.readline() == "listens\n"
            yield started.pid
        finally:
            started.kill()


def repr_of(reply: str) -> str:
    """A reply without null bytes, which no argument can contain."""
    return reply.replace("\0", "\1")


@pytest.fixture
def wait(tmp_path, port):
    """Run the start command; these processes are what is called gcs_server on the head."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/ray_current_cluster").write_text("10.0.0.1:6379\n")
    (tmp_path / "sleep").write_text("#!/bin/bash\n")
    (tmp_path / "sleep").chmod(0o755)

    def run(*gcs_servers: int, default_script: bool = True, **environment: str) -> tuple[int, str]:
        command = wait_for_ray_command(default_script=default_script)
        command = command.replace(str(GCS_PORT), str(port)).replace(f":{GCS_PORT:04X}", f":{port:04X}")
        pids = " ".join(map(str, gcs_servers))
        done = subprocess.run(
            ["bash", "-c", f"pgrep() {{ echo {pids}; }}; {command}"],
            env={
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "RAY_TMPDIR": str(tmp_path),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize("environment", [{"RAY_CLOUD_INSTANCE_ID": HEAD}, {}], ids=["v2", "v1"])
def test_ray_is_up_when_own_control_store_listens(wait, port, environment):
    with process(COMPLETE, port, RAY) as gcs_server:
        code, output = wait(gcs_server, **environment)

    assert (code, "Ray is up" in output) == (0, True), output


@pytest.mark.parametrize("default_script", [True, False])
def test_ray_is_not_up_when_redis_has_the_port(wait, port, default_script):
    with process({}, port, REDIS):
        code, output = wait(default_script=default_script)

    assert (code, "Ray is up" in output) == (1, False), output
    assert "is used by another program than Ray of this cluster" in output


def test_ray_is_not_up_when_own_control_store_does_not_listen(wait, port):
    with process(COMPLETE) as gcs_server, process({}, port, RAY):
        code, output = wait(gcs_server, RAY_CLOUD_INSTANCE_ID=HEAD)

    assert (code, "Ray is up" in output) == (1, False), output


@pytest.mark.parametrize("default_script", [True, False])
def test_ray_is_not_up_when_ray_of_another_cluster_has_the_port(wait, port, default_script):
    with process(OTHER, port, RAY) as gcs_server:
        code, output = wait(gcs_server, default_script=default_script, RAY_CLOUD_INSTANCE_ID=HEAD)

    assert (code, "Ray is up" in output) == (1, False), output


@pytest.mark.parametrize("visible", [True, False])
def test_ray_is_up_in_a_container_without_the_tasks_environment(wait, port, visible):
    with ExitStack() as stack:
        gcs_server = stack.enter_context(process({}, port, RAY))
        code, output = wait(*[gcs_server] * visible, default_script=False, RAY_CLOUD_INSTANCE_ID=HEAD)

    assert (code, "Ray is up" in output) == (0, True), output
