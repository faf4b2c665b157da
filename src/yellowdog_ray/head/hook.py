"""A hook of `ray start` on the head: Ray keeps its control store in the Valkey of `store`.

Ray's own options would put the password on the command lines of the control store, the raylet and all workers.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from yellowdog_ray.head import agent
from yellowdog_ray.node import variables
from yellowdog_ray.node.start_hook import listen_on_loopback

HOOK = f"{__name__}.prepare"
"""Value of `variables.START_HOOK`."""

_CONTROL_STORE, _RAYLET = "gcs_server", "raylet"
_AGENTS = ("--dashboard_agent_command=", "--runtime_env_agent_command=")


def prepare(parameters: Any, head: bool) -> None:
    """Change what `ray start` would do; Ray calls this before it starts its processes."""
    listen_on_loopback(parameters, head)
    access = os.environ.pop(variables.STORE, None)
    if head and access is not None:
        keep_store(parameters, json.loads(Path(access).read_text()))


def keep_store(parameters: Any, store: dict[str, Any]) -> None:
    """Let Ray keep its control store in a Valkey.

    Args:
        parameters: Ray's `RayParams`.
        store: the content of `Store.access`.
    """
    from ray._private import node, services

    # The store is new and holds no session. Ray would take a second to find that out.
    node.get_session_key_from_storage = lambda *_: None
    os.environ[variables.EXTERNAL_STORAGE_NAMESPACE] = store["namespace"]
    address = f"127.0.0.1:{store['port']}"
    parameters.external_addresses = [address, address]
    parameters.num_redis_shards = 1
    parameters.redis_username, parameters.redis_password = store["user"], store["password"]
    start = _without_password(services.start_ray_process, store["password"], store["flags"])
    services.start_ray_process = _with_keepers(start)


def _without_password(start: Callable[..., Any], password: str, flags: str) -> Callable[..., Any]:
    """Ray's function that starts a process, such that only the control store gets the password, in a file."""

    def start_without_password(command: Sequence[str], process_type: str, *args: Any, **kwargs: Any) -> Any:
        option = f"--redis_password={password}"
        if process_type == _CONTROL_STORE:
            command = [f"--flagfile={flags}" if word == option else word for word in command]
        (kwargs.get("env_updates") or {}).pop(variables.REDIS_PASSWORD, None)
        return start([str(word).replace(password, "") for word in command], process_type, *args, **kwargs)

    return start_without_password


def _with_keepers(start: Callable[..., Any]) -> Callable[..., Any]:
    """Ray's function that starts a process, such that the raylet starts its agents through their keepers."""
    keeper = f"{sys.executable} -m {agent.MODULE} "

    def start_with_keepers(command: Sequence[str], process_type: str, *args: Any, **kwargs: Any) -> Any:
        if process_type == _RAYLET:
            for option in _AGENTS:
                command = [
                    word.replace(option, option + keeper, 1) if word.startswith(option) else word for word in command
                ]
        return start(command, process_type, *args, **kwargs)

    return start_with_keepers
