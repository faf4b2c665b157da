"""Runs Ray's dashboard agent with an HTTP server that requires the cluster's token. Imports nothing of RayDog.

Ray 2.52 and 2.53 require no token there, and the server runs programs. `start_hook.guard_agents` lets the raylet start
this program instead of Ray's. The arguments are the path of Ray's program, and its own arguments.
"""

from __future__ import annotations

import functools
import runpy
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Handler = Callable[[Any], Awaitable[Any]]


def token_middleware(web: Any, requires_token: Callable[[Any, Handler], Awaitable[Any]]) -> Any:
    """Middleware that requires the token of requests from other machines.

    The head's dashboard sends this server its jobs without a token (`job_head.py` of Ray 2.52), from the same machine.

    Args:
        web: the module `aiohttp.web`.
        requires_token: Ray's middleware, which refuses requests without the token.
    """

    @web.middleware  # type: ignore[untyped-decorator]  # aiohttp is not a dependency of RayDog
    async def middleware(request: Any, handler: Handler) -> Any:
        if is_from_this_machine(request.transport):
            return await handler(request)
        return await requires_token(request, handler)

    return middleware


def is_from_this_machine(transport: Any) -> bool:
    """Whether both ends of a TCP connection have one address, as connections within a machine do."""
    peer, own = (transport and transport.get_extra_info(name) for name in ("peername", "sockname"))
    return bool(peer and own) and peer[0] == own[0]


def close_http_server() -> None:
    """Let the agent's HTTP server, which this process starts later, require the token."""
    from ray._private.authentication.http_token_authentication import get_token_auth_middleware
    from ray.dashboard import http_server_agent

    aiohttp = http_server_agent.aiohttp
    middleware = token_middleware(aiohttp.web, get_token_auth_middleware(aiohttp))
    aiohttp.web.Application = functools.partial(aiohttp.web.Application, middlewares=[middleware])


def main(arguments: list[str]) -> None:
    """Run Ray's program as if it had been started itself."""
    program = arguments[0]
    if "--minimal" not in arguments:  # a minimal Ray has no HTTP server
        close_http_server()
    sys.argv = arguments
    sys.path[0] = str(Path(program).parent)
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
