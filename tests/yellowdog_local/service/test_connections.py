from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from yellowdog_local.service.connections import HEADER_TIMEOUT_SECONDS, DeadlineProtocol


class Timers(list[Any]):
    """An event loop that records its timers."""

    def call_later(self, seconds: float, call: Any) -> Any:
        timer = SimpleNamespace(seconds=seconds, call=call, cancelled=False)
        timer.cancel = lambda: setattr(timer, "cancelled", True)
        self.append(timer)
        return timer

    @property
    def due(self) -> list[float]:
        return [timer.seconds for timer in self if not timer.cancelled]


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A connection without uvicorn's own work."""
    for name in ("connection_made", "connection_lost", "data_received", "on_response_complete"):
        monkeypatch.setattr(H11Protocol, name, lambda *_arguments: None)
    made: Any = DeadlineProtocol.__new__(DeadlineProtocol)
    made.loop, made.transport, made.cycle = Timers(), SimpleNamespace(close=lambda: None), None
    made.connection_made(made.transport)
    return made


def test_time_runs_until_the_header_is_complete(connection: Any) -> None:
    connection.data_received(b"GET")
    assert connection.loop.due == [HEADER_TIMEOUT_SECONDS]
    connection.cycle = SimpleNamespace(response_complete=False)
    connection.data_received(b" / HTTP/1.1\r\n\r\n")
    assert connection.loop.due == []


def test_time_starts_again_after_the_response_unless_the_next_request_has_arrived(connection: Any) -> None:
    connection.cycle = SimpleNamespace(response_complete=True)
    connection.on_response_complete()
    assert connection.loop.due == [HEADER_TIMEOUT_SECONDS]
    connection.cycle = SimpleNamespace(response_complete=False)
    connection.on_response_complete()
    assert connection.loop.due == []


def test_lost_connection_has_no_timer(connection: Any) -> None:
    connection.connection_lost(None)
    assert connection.loop.due == []
