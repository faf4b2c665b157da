"""Hooks of `ray start`: close what Ray leaves open to other machines, and has no option for.

On the head, Ray's client server listens on the loopback interface only; `ray attach -p 10001` and other tunnels still
reach it. With Ray 2.52 and 2.53, the dashboard agents of all nodes require the token.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from yellowdog_ray.node import closed_agent
from yellowdog_ray.node.ray_versions import agents_require_tokens, has_tokens

MODULE = __name__
"""The module that a worker's image must contain for the hooks; the head gets it from `ray up`."""

HOOK = f"{MODULE}.listen_on_loopback"
"""Value of `variables.START_HOOK` in the default head script."""

AGENT_HOOK = f"{MODULE}.guard_agents"
"""Value of `variables.START_HOOK` on other nodes, and with scripts of the user's, with Ray 2.52 and 2.53."""

_ADDRESS = "ray_client_server_ip"
_AGENT_COMMAND = "--dashboard_agent_command="  # an argument of the raylet, with a whole command line


def guard_agents(_parameters: Any, _head: bool) -> None:
    """Let the raylet start `closed_agent` instead of Ray's dashboard agent, where the latter requires no token."""
    import ray
    from ray._private import services

    if agents_require_tokens(ray.__version__) or not has_tokens(ray.__version__):
        return
    start = services.start_ray_process
    rays_agent = str(Path(services.RAY_PATH, "dashboard", "agent.py"))
    guarded = f"{Path(closed_agent.__file__).resolve()} {rays_agent}"

    def start_guarded(command: list[str], *args: Any, **kwargs: Any) -> Any:
        words = [word.replace(rays_agent, guarded) if word.startswith(_AGENT_COMMAND) else word for word in command]
        return start(words, *args, **kwargs)

    services.start_ray_process = start_guarded


def listen_on_loopback(parameters: Any, head: bool) -> None:
    """Change the address that Ray passes to its client server; Ray calls this before it starts its processes."""
    guard_agents(parameters, head)
    if not head:
        return
    from ray._private import services

    start = getattr(services, "start_ray_client_server", None)
    if start is None or _ADDRESS not in inspect.signature(start).parameters:
        print(  # noqa: T201 - `ray start` has no logger for hooks
            "RayDog: this version of Ray starts its client server in another way: port 10001 of the head may be open "
            "to other machines (docs/security.md)",
            file=sys.stderr,
        )
        return
    signature = inspect.signature(start)

    def start_on_loopback(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs)
        call.arguments[_ADDRESS] = "127.0.0.1"
        return start(*call.args, **call.kwargs)

    services.start_ray_client_server = start_on_loopback
