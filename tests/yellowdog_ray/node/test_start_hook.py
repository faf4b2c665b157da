"""The hooks of `ray start` that close what Ray leaves open to other machines."""

import inspect
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ray._private import services

from yellowdog_ray.node import closed_agent
from yellowdog_ray.node.scripts import HEAD_SCRIPT
from yellowdog_ray.node.start_hook import AGENT_HOOK, HOOK, guard_agents, listen_on_loopback


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


class TestAgents:
    """The dashboard agents of Ray 2.52 and 2.53, which require no token."""

    @pytest.fixture
    def raylets(self, monkeypatch) -> list[tuple[list[str], tuple[object, ...], dict[str, object]]]:
        """The commands of Ray's processes that would have been started, with the other arguments of each call."""
        calls: list[tuple[list[str], tuple[object, ...], dict[str, object]]] = []
        monkeypatch.setattr(
            services, "start_ray_process", lambda command, *args, **kwargs: calls.append((command, args, kwargs))
        )
        return calls

    @pytest.fixture
    def agent(self) -> str:
        return str(Path(services.RAY_PATH, "dashboard", "agent.py"))

    @pytest.mark.parametrize("hook", [guard_agents, listen_on_loopback])
    @pytest.mark.parametrize("head", [True, False])
    def test_raylet_starts_the_closed_agent(self, raylets, agent, monkeypatch, started, hook, head):
        monkeypatch.setattr("ray.__version__", "2.53.0")
        hook(None, head)
        services.start_ray_process(
            ["raylet", f"--dashboard_agent_command=python -u {agent} --port=1", agent], "raylet", x=1
        )

        (((raylet, command, other), arguments, options),) = raylets
        assert command == f"--dashboard_agent_command=python -u {closed_agent.__file__} {agent} --port=1"
        assert (raylet, other, arguments, options) == ("raylet", agent, ("raylet",), {"x": 1}), "nothing else changes"

    @pytest.mark.parametrize("version", ["2.50.0", "2.51.2", "2.54.0", "2.60.0"])
    def test_other_versions_of_ray_are_left_alone(self, raylets, monkeypatch, version):
        monkeypatch.setattr("ray.__version__", version)
        before = services.start_ray_process
        guard_agents(None, False)

        assert services.start_ray_process is before

    def test_ray_has_the_function_and_the_program(self, agent):
        assert Path(agent).is_file()
        assert "--dashboard_agent_command=" in inspect.getsource(services.start_raylet)
        assert next(iter(inspect.signature(services.start_ray_process).parameters)) == "command"


def hook_lines() -> str:
    """The head script's lines that set the hook."""
    start = HEAD_SCRIPT.index('if [ "${RAY_START_HOOK:-')
    return HEAD_SCRIPT[start : HEAD_SCRIPT.index("fi\n", start) + 3]


@pytest.mark.parametrize(("hook", "name"), [(listen_on_loopback, HOOK), (guard_agents, AGENT_HOOK)])
def test_name_of_the_hook_is_the_functions(hook, name):
    assert f"{hook.__module__}.{hook.__qualname__}" == name


class TestHeadScript:
    def run(self, **environment: str) -> str:
        env = {"PATH": os.environ["PATH"], **environment}
        script = hook_lines() + 'echo "${RAY_START_HOOK:-none}"'
        return subprocess.run(["bash", "-c", script], env=env, text=True, capture_output=True, check=True).stdout

    def test_hook_is_set(self):
        assert self.run() == f"{HOOK}\n"

    def test_hook_replaces_that_of_the_agents_which_it_includes(self):
        assert self.run(RAY_START_HOOK=AGENT_HOOK) == f"{HOOK}\n"

    def test_hook_of_the_user_is_kept(self):
        assert self.run(RAY_START_HOOK="my.hook") == "my.hook\n"
