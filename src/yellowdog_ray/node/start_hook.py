"""A hook of `ray start` on the head: Ray's client server listens on the loopback interface only.

Ray has no option for that server's address. The default head script sets the hook; `ray attach -p 10001` and other
tunnels still reach the server.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

MODULE = __name__
"""The module that an image must contain for the hook."""

HOOK = f"{MODULE}.listen_on_loopback"
"""Value of `variables.START_HOOK`."""

_ADDRESS = "ray_client_server_ip"


def listen_on_loopback(_parameters: Any, head: bool) -> None:
    """Change the address that Ray passes to its client server; Ray calls this before it starts its processes."""
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
