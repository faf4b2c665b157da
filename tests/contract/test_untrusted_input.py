"""Requests that a client can send by mistake or on purpose to disturb the server: refused clearly, and cheaply."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send
from yellowdog_client import PlatformClient
from yellowdog_client.model import AddConfiguredWorkerPoolRequest

from tests.contract.test_sdk import submit
from yellowdog_local.api import json_input
from yellowdog_local.api.bodies import BodyLimits
from yellowdog_local.service import connections
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import RunningPlatform, local_platform

WORK = {"namespace": "demo", "name": "work"}
BRISK_SECONDS = 0.25


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningPlatform]:
    """A platform that waits a quarter of a second for a header: longer than a client takes on a busy machine."""
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_SECONDS", BRISK_SECONDS)
    with local_platform(clock=SteppedClock()) as running:
        yield running


@cache
def bomb() -> bytes:
    """A small compressed body that decompresses to more than is allowed."""
    return gzip.compress(b" " * (json_input.MAX_BODY_BYTES + 1))


def refused(answer: httpx.Response, status: int = 400) -> str:
    """The message of a refusal with this status."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    return str(answer.json()["message"])


def post_json(http: httpx.Client, text: str | bytes) -> httpx.Response:
    return http.post("/work/requirements", content=text)


class TestJson:
    @pytest.mark.parametrize("depth", [101, 5_000, 1_000_000])
    @pytest.mark.parametrize("brackets", ["[]", '{"a":}'], ids=["lists", "objects"])
    def test_nested_body_is_refused_at_every_depth(self, http: httpx.Client, depth: int, brackets: str) -> None:
        text = brackets[:-1] * depth + "1" + brackets[-1] * depth
        assert refused(post_json(http, text)) == "the request body is nested more than 100 levels deep"

    def test_nested_body_is_read_at_the_limit(self, http: httpx.Client) -> None:
        text = json.dumps(WORK)[:-1] + ', "unknown": ' + "[" * 99 + "]" * 99 + "}"
        assert post_json(http, text).status_code == 200

    def test_nested_search_in_the_query_is_refused(self, http: httpx.Client) -> None:
        answer = http.get("/workerPools/nodes", params={"nodeSearch": "[" * 5_000 + "]" * 5_000})
        assert refused(answer) == "nodeSearch is nested more than 100 levels deep"

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
    def test_number_is_refused_when_not_finite(self, http: httpx.Client, number: str) -> None:
        text = json.dumps(WORK)[:-1] + f', "priority": {number}' + "}"
        assert f"the request body is not JSON: {number}" in refused(post_json(http, text))

    @pytest.mark.parametrize("number", ["nan", "inf", "-Infinity", "1e999"])
    def test_number_in_the_query_is_refused_when_not_finite(self, http: httpx.Client, number: str) -> None:
        answer = http.get("/workerPools/nodes", params={"ram.min": number})
        assert refused(answer) == f"ram.min must be a finite number, not '{number}'"

    @pytest.mark.parametrize("name", ["\\ud800", "\\udfff\\ud800", "w\\uD83D"])
    def test_string_is_refused_when_not_unicode(self, http: httpx.Client, name: str) -> None:
        assert "surrogates not allowed" in refused(post_json(http, f'{{"namespace": "demo", "name": "{name}"}}'))

    def test_escaped_characters_outside_the_basic_plane_are_read(self, http: httpx.Client) -> None:
        tag = post_json(http, json.dumps({**WORK, "tag": "\U0001f600 \u20ac"})).json()["tag"]
        assert tag == "\U0001f600 \u20ac"

    @pytest.mark.parametrize(
        "duration", ["P99999999999999D", "PT" + "9" * 400 + "S", "P1Y", "PT1e999S"], ids=lambda text: text[:12]
    )
    def test_duration_is_refused_when_out_of_range(self, http: httpx.Client, duration: str) -> None:
        run = {"taskTypes": ["x"], "taskTimeout": duration}
        body = {**WORK, "taskGroups": [{"name": "g", "runSpecification": run}]}
        assert "taskTimeout must be an ISO 8601 duration" in refused(http.post("/work/requirements", json=body))

    @pytest.mark.parametrize("number", [2**63, 10**400, 1e300])
    def test_whole_number_is_refused_when_out_of_range(self, http: httpx.Client, number: float) -> None:
        run = {"taskTypes": ["x"], "maxWorkers": number}
        body = {**WORK, "taskGroups": [{"name": "g", "runSpecification": run}]}
        assert "maxWorkers must be a whole number" in refused(http.post("/work/requirements", json=body))

    @pytest.mark.parametrize("moment", ["0000-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "T", "2026-01-01T99:00:00Z"])
    def test_time_is_refused_when_out_of_range(self, http: httpx.Client, moment: str) -> None:
        answer = http.get("/work/tasks", params={"startedTime.min": moment})
        assert "must be an ISO 8601 time" in refused(answer)

    def test_slice_id_is_refused_when_out_of_range(self, http: httpx.Client) -> None:
        assert "is not of this search" in refused(http.get(f"/work/tasks?sliceId=a{'1' * 5000}"))


class TestBodySize:
    def test_compressed_body_is_refused_when_it_decompresses_to_too_much(self, http: httpx.Client) -> None:
        answer = http.post("/work/requirements", content=bomb(), headers={"Content-Encoding": "gzip"})
        assert f"larger than {json_input.MAX_BODY_BYTES} bytes" in refused(answer, 413)

    def test_compressed_body_is_refused_when_its_members_add_up_to_too_much(
        self, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(json_input, "MAX_BODY_BYTES", 1000)
        body = gzip.compress(b" " * 600) * 2
        answer = http.post("/work/requirements", content=body, headers={"Content-Encoding": "gzip"})
        assert "larger than 1000 bytes" in refused(answer, 413)

    def test_compressed_body_is_read_in_several_members(self, http: httpx.Client) -> None:
        text = json.dumps(WORK).encode()
        body = gzip.compress(text[:9]) + gzip.compress(text[9:])
        answer = http.post("/work/requirements", content=body, headers={"Content-Encoding": "gzip"})
        assert answer.json()["name"] == "work"

    @pytest.mark.parametrize(
        "body",
        [b"{}", gzip.compress(b"{}")[:-1], gzip.compress(b"{}") + b"x"],
        ids=["plain", "incomplete", "with garbage behind"],
    )
    def test_compressed_body_is_refused_when_not_gzip(self, http: httpx.Client, body: bytes) -> None:
        answer = http.post("/work/requirements", content=body, headers={"Content-Encoding": "gzip"})
        assert "is not gzip" in refused(answer)

    @pytest.mark.parametrize("fault", [False, True], ids=["served", "struck by a fault"])
    def test_body_is_refused_as_soon_as_it_exceeds_the_limit(self, local: RunningPlatform, fault: bool) -> None:
        key = f"Authorization: yd-key {local.key_id}:{local.key_secret}"
        if fault:
            admin = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
            httpx.post(f"{local.url}/admin/faults", json={"kind": "status", "status": 503}, headers=admin)
        with connected(local) as client:
            client.sendall(request_head("/work/requirements", key, "Transfer-Encoding: chunked"))
            part = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
            for _ in range((json_input.MAX_BODY_BYTES >> 20) + 1):
                client.sendall(part)
            assert client.recv(100).startswith(b"HTTP/1.1 413 ")

    def test_body_is_refused_when_it_is_not_complete_in_time(self) -> None:
        async def drip() -> Message:
            await asyncio.sleep(0.001)
            return {"type": "http.request", "body": b"x", "more_body": True}

        async def read_all(_scope: Scope, receive: Receive, _send: Send) -> None:
            while (await receive())["more_body"]:
                pass

        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        asyncio.run(BodyLimits(read_all, timeout_seconds=0.02)({"type": "http"}, drip, send))
        assert sent[0]["status"] == 408
        assert b"was not complete after 0.02 s" in sent[1]["body"]

    def test_time_after_the_body_is_not_limited(self) -> None:
        messages: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"x"}]

        async def receive_slowly() -> Message:
            await asyncio.sleep(0.05 if len(messages) == 1 else 0)
            return messages.pop()

        async def read_twice(_scope: Scope, receive: Receive, _send: Send) -> None:
            assert (await receive())["body"] == b"x"
            assert (await receive())["type"] == "http.disconnect"

        async def send(_message: Message) -> None:
            pytest.fail("it was refused")

        asyncio.run(BodyLimits(read_twice, timeout_seconds=0.01)({"type": "http"}, receive_slowly, send))


class TestConnections:
    @pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHo"], ids=["nothing", "half a header"])
    def test_connection_is_closed_without_a_complete_header(self, brisk: RunningPlatform, sent: bytes) -> None:
        with connected(brisk) as client:
            client.sendall(sent)
            assert client.recv(100) == b""

    def test_connection_is_closed_while_a_header_drips(self, brisk: RunningPlatform) -> None:
        with connected(brisk) as client:
            client.sendall(b"GET / HTTP/1.1\r\nX: ")
            with pytest.raises(OSError, match=r"Broken pipe|reset"):
                drip(client)

    def test_connection_is_closed_while_the_second_header_is_incomplete(self, brisk: RunningPlatform) -> None:
        with connected(brisk) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: local\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += client.recv(1000)
            client.sendall(b"GET /")
            assert client.recv(100) == b""

    def test_request_in_progress_outlasts_the_timeout(self, brisk: RunningPlatform) -> None:
        with brisk.client() as own:
            work = submit(own)
        headers = {"Authorization": f"yd-key {brisk.key_id}:{brisk.key_secret}"}
        with httpx.stream("GET", f"{brisk.url}/work/requirements/{work.id}/updates", headers=headers) as stream:
            events = stream.iter_text()
            assert "entity_updated" in next(events)
            time.sleep(3 * BRISK_SECONDS)  # the server's own timeout is real time
            with brisk.client() as own:
                own.work_client.cancel_work_requirement_by_id(work.id)
            assert "CANCELL" in next(events)


class TestAgentRoutes:
    @pytest.mark.parametrize("path", ["/agent/register", "/agent/nodes/x/events"])
    @pytest.mark.parametrize(
        ("token", "status"),
        [(None, 401), ("yd-agent wrong", 401), (b"yd-agent \xff", 401)],
        ids=["no", "wrong", "bytes"],
    )
    def test_token_is_checked_before_the_body_is_read(
        self, local: RunningPlatform, client: PlatformClient, path: str, token: Any, status: int
    ) -> None:
        client.worker_pool_client.add_configured_worker_pool(AddConfiguredWorkerPoolRequest("pool", namespace="demo"))
        headers = {"Content-Encoding": "gzip", **({"Authorization": token} if token else {})}
        answer = httpx.post(local.url + path, content=bomb(), headers=headers)
        # There is no node `x`: with any token the answer is the one for an unknown node.
        expected = 404 if path.endswith("events") and token == "yd-agent wrong" else status
        assert answer.status_code == expected

    def test_registration_is_refused_when_it_decompresses_to_too_much(
        self, local: RunningPlatform, client: PlatformClient
    ) -> None:
        request = AddConfiguredWorkerPoolRequest("pool", namespace="demo")
        secret = client.worker_pool_client.add_configured_worker_pool(request).token.secret
        headers = {"Content-Encoding": "gzip", "Authorization": f"yd-agent {secret}"}
        refused(httpx.post(f"{local.url}/agent/register", content=bomb(), headers=headers), 413)


class TestEmptyFilters:
    @pytest.mark.parametrize(
        "query",
        ["namespaces=", "namespaces=&name=", "statuses=", "size=", "createdTime.min=", "sliceId=", "isHealthy="],
    )
    def test_filter_matches_everything_when_empty(self, http: httpx.Client, client: PlatformClient, query: str) -> None:
        submit(client)
        found = http.get(f"/work/requirements?sliced=true&{query}")
        assert (found.status_code, len(found.json()["items"])) == (200, 1)

    def test_empty_value_among_others_is_ignored(self, http: httpx.Client, client: PlatformClient) -> None:
        submit(client)
        for query, count in (("namespaces=&namespaces=demo", 1), ("namespaces=&namespaces=other", 0)):
            assert len(http.get(f"/work/requirements?sliced=true&{query}").json()["items"]) == count


def drip(client: socket.socket) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        client.sendall(b"x")
        time.sleep(0.01)


def connected(local: RunningPlatform) -> socket.socket:
    host, _, port = local.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def request_head(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: local", *headers, "", ""]).encode()
