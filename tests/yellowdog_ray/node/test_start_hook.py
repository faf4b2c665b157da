"""The hook of `ray start` that keeps Ray's client server on the loopback interface."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ray._private import services

from yellowdog_ray.node.scripts import HEAD_SCRIPT
from yellowdog_ray.node.start_hook import HOOK, MODULE, listen_on_loopback


@pytest.fixture
def started(monkeypatch) -> list[dict[str, Any]]:
    """The calls that start a client server, instead of a process."""
    calls: list[dict[str, Any]] = []

    def start_ray_client_server(
        address: str, ray_client_server_ip: str, ray_client_server_port: int, **kwargs: Any
    ) -> str:
        calls.append({"address": address, "ip": ray_client_server_ip, "port": ray_client_server_port, **kwargs})
        return "process"

    monkeypatch.setattr(services, "start_ray_client_server", start_ray_client_server)
    return calls


class TestHook:
    def test_client_server_listens_on_loopback_on_the_head(self, started):
        listen_on_loopback(None, True)

        assert services.start_ray_client_server("192.0.2.1:6379", "192.0.2.1", 10001, node_id="n") == "process"
        assert started == [{"address": "192.0.2.1:6379", "ip": "127.0.0.1", "port": 10001, "node_id": "n"}]

    def test_address_by_name_is_changed_too(self, started):
        listen_on_loopback(None, True)
        services.start_ray_client_server("a", ray_client_server_ip="192.0.2.1", ray_client_server_port=1)

        assert started[0]["ip"] == "127.0.0.1"

    def test_worker_is_left_alone(self, started):
        before = services.start_ray_client_server
        listen_on_loopback(None, False)

        assert services.start_ray_client_server is before

    def test_warning_is_printed_where_ray_starts_the_server_in_another_way(self, monkeypatch, capsys):
        monkeypatch.delattr(services, "start_ray_client_server")
        listen_on_loopback(None, True)

        assert "port 10001 of the head may be open" in capsys.readouterr().err

    def test_ray_has_the_function_and_its_parameter(self, capsys, monkeypatch):
        monkeypatch.setattr(services, "start_ray_client_server", services.start_ray_client_server)
        before = services.start_ray_client_server
        listen_on_loopback(None, True)

        assert services.start_ray_client_server is not before
        assert capsys.readouterr().err == ""


def hook_lines() -> str:
    """The head script's lines that set the hook."""
    start = HEAD_SCRIPT.index('if [ -z "${RAY_START_HOOK:-}" ]')
    return HEAD_SCRIPT[start : HEAD_SCRIPT.index("fi\n", start) + 3]


def test_name_of_the_hook_is_the_functions():
    assert f"{listen_on_loopback.__module__}.{listen_on_loopback.__qualname__}" == HOOK


class TestHeadScript:
    def run(self, python: str, folder: Path, **environment: str) -> str:
        (folder / "python").write_text(f'#!/bin/bash\n{python} "$@"\n')
        (folder / "python").chmod(0o755)
        env = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path), **environment}
        script = hook_lines() + 'echo "${RAY_START_HOOK:-none}"'
        return subprocess.run(["bash", "-c", script], env=env, text=True, capture_output=True, check=True).stdout

    def test_hook_is_set(self, tmp_path):
        assert self.run(sys.executable, tmp_path) == f"{HOOK}\n"

    def test_hook_of_the_user_is_kept(self, tmp_path):
        assert self.run(sys.executable, tmp_path, RAY_START_HOOK="my.hook") == "my.hook\n"

    def test_image_with_an_older_raydog_starts_without_it(self, tmp_path):
        assert MODULE in hook_lines()
        assert self.run("false", tmp_path) == "none\n"
