"""The hook of `ray start` that keeps Ray's control store in Valkey."""

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from ray._private import node, services
from ray._private.parameter import RayParams

from yellowdog_ray.head import hook
from yellowdog_ray.head.agent import MODULE
from yellowdog_ray.head.hook import HOOK, prepare
from yellowdog_ray.node import variables

PASSWORD = "0123456789abcdef"


@pytest.fixture
def started(monkeypatch) -> list[tuple[list[str], str, dict[str, Any]]]:
    """The processes that Ray would start."""
    calls: list[tuple[list[str], str, dict[str, Any]]] = []
    monkeypatch.setattr(services, "start_ray_client_server", services.start_ray_client_server)
    monkeypatch.setattr(node, "get_session_key_from_storage", node.get_session_key_from_storage)
    monkeypatch.setattr(
        services, "start_ray_process", lambda command, kind, **options: calls.append((command, kind, options))
    )
    return calls


@pytest.fixture
def parameters(monkeypatch, tmp_path, started) -> RayParams:
    """Ray's parameters, changed by the hook."""
    store = {"port": 16667, "user": "ray", "password": PASSWORD, "namespace": "head-1", "flags": "/home/flags"}
    (tmp_path / "store.json").write_text(json.dumps(store))
    monkeypatch.setenv(variables.STORE, str(tmp_path / "store.json"))
    monkeypatch.setenv(variables.EXTERNAL_STORAGE_NAMESPACE, "")
    parameters = RayParams()
    prepare(parameters, True)
    return parameters


def test_ray_gets_the_store(parameters, monkeypatch):
    assert parameters.external_addresses == ["127.0.0.1:16667"] * 2
    assert (parameters.redis_username, parameters.redis_password) == ("ray", PASSWORD)


def test_environment_of_rays_processes_names_the_cluster_but_not_the_file(parameters):
    assert hook.os.environ[variables.EXTERNAL_STORAGE_NAMESPACE] == "head-1"
    assert variables.STORE not in hook.os.environ


def test_control_store_reads_its_password_from_a_file(parameters, started):
    services.start_ray_process(["gcs_server", "--redis_username=ray", f"--redis_password={PASSWORD}"], "gcs_server")

    assert started == [(["gcs_server", "--redis_username=ray", "--flagfile=/home/flags"], "gcs_server", {})]


def test_ray_does_not_search_the_new_store_for_a_session(parameters):
    assert node.get_session_key_from_storage("127.0.0.1", 16667, "ray", PASSWORD, False, b"", b"session_name") is None


def test_other_processes_get_no_password(parameters, started):
    worker = f"--python_worker_command=python --redis-password={PASSWORD} -x"
    variable = {"RAY_REDIS_PASSWORD": PASSWORD, "A": "b"}
    services.start_ray_process(["raylet", worker], process_type="raylet", fate_share=False, env_updates=variable)

    assert PASSWORD not in str(started)
    assert started[0][2]["env_updates"] == {"A": "b"}


@pytest.mark.parametrize("head", [True, False])
def test_ray_is_left_alone_without_a_store(head, started):
    parameters = SimpleNamespace(external_addresses=None)
    before = services.start_ray_process
    prepare(parameters, head)

    assert parameters.external_addresses is None
    assert services.start_ray_process is before


def test_name_of_the_hook_is_the_functions():
    assert f"{prepare.__module__}.{prepare.__qualname__}" == HOOK


def test_raylet_starts_its_agents_through_their_keepers(parameters, started):
    options = ["--dashboard_agent_command=python agent.py", "--runtime_env_agent_command=python main.py", "--other=x"]
    services.start_ray_process(["raylet", *options], "raylet")

    keeper = f"{sys.executable} -m {MODULE} "
    (((_, dashboard, runtime, other), _, _),) = started
    assert dashboard == f"--dashboard_agent_command={keeper}python agent.py"
    assert runtime == f"--runtime_env_agent_command={keeper}python main.py"
    assert other == "--other=x"
