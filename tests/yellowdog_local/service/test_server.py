from __future__ import annotations

import pytest

from tests.simulation.lab import Lab
from yellowdog_local.service.server import ServerThread


def test_taken_port_is_refused_and_free(lab: Lab) -> None:
    first = ServerThread(lab.platform)
    port = int(first.url.rsplit(":", 1)[1])
    try:
        assert first.url == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match="in use"):
            ServerThread(lab.platform, port=port)
    finally:
        first._listener.close()


def test_end_of_the_server_is_detected(lab: Lab) -> None:
    thread = ServerThread(lab.platform)
    thread._listener.close()
    thread.check()
    thread._server.run = lambda sockets: None  # type: ignore[method-assign,misc,assignment]
    thread._run()
    with pytest.raises(RuntimeError, match="ended unexpectedly"):
        thread.check()
