from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from yellowdog_local.hosts.guest import connection
from yellowdog_local.hosts.guest.connection import Connection, GoneError, RefusedError

Answer = tuple[int, str]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, list[float]]]:
    """Make one call that gets the given answers; its result and the delays between its attempts (seconds)."""

    def run(*answers: Answer) -> tuple[Any, list[float]]:
        left, delays = iter(answers), list[float]()
        agent = Connection("http://platform.test/base/", "token")
        monkeypatch.setattr(agent, "_try", lambda *_request: next(left))
        monkeypatch.setattr(connection.time, "sleep", delays.append)
        monkeypatch.setattr(connection.random, "uniform", lambda _least, _most: 1.0)
        return agent.call("GET", "/path"), delays

    return run


@pytest.mark.parametrize("failure", [(0, "OSError: no route"), (429, ""), (500, ""), (503, "")])
def test_call_is_repeated_until_it_is_answered(call: Any, failure: Answer) -> None:
    answer, delays = call(failure, failure, (200, '{"a": 1}'))
    assert (answer, delays) == ({"a": 1}, [0.1, 0.2])


def test_back_off_has_a_limit(call: Any) -> None:
    _, delays = call(*[(503, "")] * 9, (200, "{}"))
    assert delays[-3:] == [5.0, 5.0, 5.0]


def test_refused_call_is_not_repeated(call: Any) -> None:
    with pytest.raises(RefusedError, match="GET /path: 401 no"):
        call((401, "no"))
    with pytest.raises(GoneError):
        call((410, ""))


def test_broken_connection_is_closed_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Broken] = []

    class Broken:
        def __init__(self, host: str, timeout: float) -> None:
            self.host, self.closed = host, False
            made.append(self)

        def request(self, _method: str, path: str, *_rest: object) -> None:
            raise ConnectionResetError(path)

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(connection.http.client, "HTTPSConnection", Broken)
    agent = Connection("https://platform.test/base/", "token")
    for _ in range(2):
        assert agent._try("GET", "/path", None) == (0, "ConnectionResetError: /base/path")
    assert [(one.host, one.closed) for one in made] == [("platform.test", True)] * 2
