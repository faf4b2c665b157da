"""Ray's dashboard agent with an HTTP server that requires the token of other machines."""

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from aiohttp import ClientSession, TCPConnector, web

from yellowdog_ray.node import closed_agent
from yellowdog_ray.node.closed_agent import is_from_this_machine, token_middleware
from yellowdog_ray.node.ray_versions import has_tokens

SHOW = """
import sys
from ray.dashboard.http_server_agent import aiohttp
keywords = getattr(aiohttp.web.Application, "keywords", {})
print(__name__, sys.argv, sys.path[0], len(keywords.get("middlewares", ())))
"""


@web.middleware
async def refuse(_request: web.Request, _handler: Any) -> web.Response:
    return web.Response(status=401)


async def done(_request: web.Request) -> web.Response:
    return web.Response()


async def status_from(address: str) -> int:
    """The status of a request at 127.0.0.1, from another loopback address."""
    app = web.Application(middlewares=[token_middleware(web, refuse)])
    app.router.add_get("/", done)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with (
            ClientSession(connector=TCPConnector(local_addr=(address, 0))) as client,
            client.get(f"http://127.0.0.1:{port}/") as response,
        ):
            return response.status
    finally:
        await runner.cleanup()


class TestRequests:
    def test_another_machine_needs_the_token(self):
        assert asyncio.run(status_from("127.0.0.2")) == 401

    def test_this_machine_does_not(self):
        """The dashboard sends jobs without it."""
        assert asyncio.run(status_from("127.0.0.1")) == 200

    @pytest.mark.parametrize("ends", [{}, {"peername": ("10.0.0.1", 1)}, {"sockname": ("10.0.0.1", 1)}])
    def test_unknown_end_counts_as_another_machine(self, ends):
        assert not is_from_this_machine(SimpleNamespace(get_extra_info=ends.get))

    def test_lost_connection_counts_as_another_machine(self):
        assert not is_from_this_machine(None)


class TestProgram:
    def run(self, folder: Path, *arguments: str) -> str:
        program = folder / "agent.py"
        program.write_text(SHOW)
        command = [sys.executable, closed_agent.__file__, str(program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    @pytest.mark.skipif(not has_tokens(ray.__version__), reason="this version of Ray has no tokens, and needs no hook")
    def test_rays_program_runs_with_its_arguments_and_a_closed_server(self, tmp_path):
        program = tmp_path / "agent.py"

        assert self.run(tmp_path, "--port=1") == f"__main__ {[str(program), '--port=1']} {tmp_path} 1\n"

    def test_minimal_ray_is_left_alone(self, tmp_path):
        assert self.run(tmp_path, "--minimal").endswith(" 0\n")
