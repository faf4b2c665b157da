from __future__ import annotations

from typing import Any

import pytest
import requests

from yellowdog_local.service.admin_client import TIMEOUT_SECONDS, AdminClient
from yellowdog_local.service.directory import ApiKey, LocalPlatformError


@pytest.fixture
def client() -> AdminClient:
    return AdminClient("http://platform.test", ApiKey("id", "secret"))


def answer(client: AdminClient, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes) -> list[dict[str, Any]]:
    """Answer every call so; the options of each call."""
    made: list[dict[str, Any]] = []
    response = requests.Response()
    response.status_code, response._content = status, body
    monkeypatch.setattr(client._session, "request", lambda *_call, **options: made.append(options) or response)
    return made


def test_call_has_a_timeout_and_returns_json(client: AdminClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made = answer(client, monkeypatch, 200, b'{"a": 1}')
    assert client.get("/admin/calls", since=3) == {"a": 1}
    client.post("/admin/reset", timeout_seconds=90.0)
    assert made == [{"params": {"since": 3}, "timeout": TIMEOUT_SECONDS}, {"json": None, "timeout": 90.0}]


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, b'{"message": "Fault not found"}', "^Fault not found$"),
        (400, b"plain text", "^plain text$"),
        (401, b'{"message": "no"}', "the platform refused DELETE /x: 401 no "),
        (500, b"[]", r"the platform refused DELETE /x: 500 \[\] \(see"),
    ],
)
def test_refusal_is_one_sentence(
    client: AdminClient, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, says: str
) -> None:
    answer(client, monkeypatch, status, body)
    with pytest.raises(LocalPlatformError, match=says):
        client.delete("/x")


def test_platform_that_does_not_answer_is_named(client: AdminClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_call: Any, **_options: Any) -> None:
        raise requests.ConnectTimeout

    monkeypatch.setattr(client._session, "request", fail)
    with pytest.raises(LocalPlatformError, match=r"http://platform\.test does not answer \(ConnectTimeout\)"):
        client.get("/x")
