"""Failures of platform calls: how each is translated, and which are never hidden."""

import json
import re
from datetime import timedelta

import pytest
import requests

from yellowdog_local import faults
from yellowdog_ray.cluster.executors import MAX_CONCURRENT_ABORTS
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.errors import (
    MalformedResponse,
    NotAuthorised,
    NotFound,
    PlatformError,
    Refused,
    Throttled,
    Unavailable,
)
from yellowdog_ray.platform import work
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.responses import MAX_QUOTE
from yellowdog_ray.redaction import hide


@pytest.fixture
def platform(local) -> Platform:
    return Platform(Credentials(local.url, local.key_id, local.key_secret), "demo")


@pytest.fixture
def respond(monkeypatch):
    """Replaces the body of every response, and its status by 200."""

    def respond_with(body: bytes) -> None:
        send = requests.Session.get_adapter

        class Replacing:
            def __init__(self, adapter):
                self._adapter = adapter

            def send(self, request, **options):
                response = self._adapter.send(request, **options)
                response._content, response.status_code = body, 200
                return response

        monkeypatch.setattr(requests.Session, "get_adapter", lambda session, url: Replacing(send(session, url)))

    return respond_with


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        # Once only: a client that obeyed its Retry-After would see no failure.
        (faults.Status(call="GET /application", status=429, retry_after_seconds=1, times=1), Throttled),
        (faults.Status(call="GET /application", status=503), Unavailable),
        (faults.Status(call="GET /application", status=400, error_type="InvalidRequestException"), Refused),
        (faults.Status(call="GET /application", status=404), NotFound),
        (faults.Cut(call="GET /application"), Unavailable),
        (faults.KeyRevoked(), NotAuthorised),
        (faults.Status(call="GET /application", status=403, error_type="NotAuthorisedException"), NotAuthorised),
        (
            faults.Status(call="GET /application", status=403, error_type="MissingPermissionException"),
            NotAuthorised,
        ),
    ],
    ids=lambda value: getattr(value, "kind", getattr(value, "__name__", "")),
)
def test_failure_is_translated_by_its_kind(local, platform, fault, expected):
    with local.faults.during(fault), pytest.raises(expected):
        platform.account_name()

    assert platform.account_name() == "local"


def test_failure_text_contains_no_secret(local, platform):
    hide(local.key_secret)  # as the loader of the key does

    for status in (400, 401, 403, 404, 429, 500):
        repeated = faults.Status(call="GET /application", status=status, message=f"what is {local.key_secret}?")
        with local.faults.during(repeated), pytest.raises(PlatformError) as caught:
            platform.account_name()
        assert local.key_secret not in str(caught.value)


@pytest.mark.parametrize("secret", ["ends with a newline\n", "snowman \u2603"])
def test_key_that_no_header_may_have_is_not_authorised(local, secret):
    platform = Platform(Credentials(local.url, local.key_id, secret), "demo")

    with pytest.raises(NotAuthorised, match="characters") as caught:
        platform.account_name()
    assert secret.strip() not in str(caught.value)
    assert caught.value.__suppress_context__


def test_call_times_out(local, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.platform.client.READ_TIMEOUT", timedelta(seconds=0.2))
    platform = Platform(Credentials(local.url, local.key_id, local.key_secret), "demo")

    with (
        local.faults.during(faults.Delay(call="GET /application", seconds=2)),
        pytest.raises(Unavailable, match="no answer"),
    ):
        platform.account_name()


def test_sdk_session_keeps_connections_for_concurrent_aborts(platform):
    session = platform._client._PlatformClient__session

    assert session.get_adapter(platform.url).poolmanager.connection_pool_kw["maxsize"] > MAX_CONCURRENT_ABORTS


READS = {
    "named_work_requirement": "crew",
    "work_requirement": "ydid:workreq:000000:1",
    "live_tasks": "ydid:workreq:000000:1",
    "find_pool": "crew-head-00000000",
    "listed_pools": "00000000",
    "listed_computes": "00000000",
    "platform_nodes": "ydid:wrkrpool:000000:1",
    "compute": "ydid:compreq:000000:1",
    "pool": "ydid:wrkrpool:000000:1",
    "platform_node": "ydid:node:000000:1",
    "task": "ydid:task:000000:1",
    "task_spec": "ydid:task:000000:1",
    "template_id": "demo/local",
    "instance_types_of": "demo/local",
}


class TestMalformedResponse:
    """An answer that is not YellowDog's."""

    def test_response_of_other_shape_raises_malformed_response(self, platform, monkeypatch):
        monkeypatch.setattr("requests.Response.json", lambda _: {"items": 3})

        with pytest.raises(MalformedResponse, match="is it a YellowDog endpoint"):
            platform.work_requirements("demo", finished=False)

    def test_malformed_list_of_work_requirements_is_never_read_as_empty(self, platform, monkeypatch):
        monkeypatch.setattr("yellowdog_client.common.Proxy._handle_response", lambda _, response: response)

        for answer in ({}, [], None, "up", {"status": "fine"}, {"items": [{}]}, {"items": [None]}):
            monkeypatch.setattr("requests.Response.json", lambda _, answer=answer: answer)
            with pytest.raises(MalformedResponse):
                platform.work_requirements("crew", finished=False)

    @pytest.mark.parametrize("read", READS)
    def test_malformed_response_is_never_read_as_empty_list(self, platform, monkeypatch, read):
        monkeypatch.setattr("yellowdog_client.common.Proxy._handle_response", lambda _, response: response)

        for answer in ({}, [], None, "up", {"status": "fine"}, {"items": [{}]}, {"items": [None]}):
            monkeypatch.setattr("requests.Response.json", lambda _, answer=answer: answer)
            with pytest.raises(MalformedResponse):
                getattr(platform, read)(READS[read])

    def test_response_that_is_no_json_raises_malformed_response(self, platform, respond):
        respond(b"<html>Welcome to our network</html>")

        with pytest.raises(MalformedResponse):
            platform.work_requirement("ydid:workreq:000000:1")

    def test_malformed_response_may_have_been_applied(self):
        assert issubclass(MalformedResponse, Unavailable)
        assert len(MalformedResponse.code) < 20

    def test_log_has_traceback_and_response_once(self, platform, respond, caplog):
        respond(b"<html>Welcome to our network</html>")

        for _ in range(3):
            with pytest.raises(MalformedResponse):
                platform.work_requirement("ydid:workreq:000000:1")

        (record,) = [record for record in caplog.records if record.name == "yellowdog_ray.platform.calls"]
        assert "Welcome to our network" in record.getMessage()
        assert "JSONDecodeError" in caplog.text
        assert "get_work_requirement_by_id" in caplog.text

    def test_log_has_traceback_when_entity_lacks_its_id(self, platform, respond, caplog):
        respond(b'{"items": [{"name": "a", "taskType": "bash"}]}')

        with pytest.raises(MalformedResponse):
            platform.live_tasks("ydid:workreq:000000:1")

        assert re.search(r"in \w*task_view", caplog.text)

    def test_log_quotes_response_bounded_and_without_secrets(self, platform, respond, caplog):
        secret = "a-key-that-nobody-may-see"
        hide(secret)
        task = {
            "environment": {"AWS_SECRET": "users-own"},
            "taskData": "users-script",
            "name": secret,
        }
        respond(json.dumps({"items": [task, {"tag": "x" * 10 * MAX_QUOTE}]}).encode())

        with pytest.raises(MalformedResponse):
            platform.live_tasks("ydid:workreq:000000:1")

        (record,) = caplog.records
        assert "(omitted)" in record.getMessage()
        assert len(record.getMessage()) < 2 * MAX_QUOTE
        assert not any(private in caplog.text for private in ("users-own", "users-script", secret))

    def test_check_of_key_is_not_logged(self, platform, respond, caplog):
        respond(b"<html>Welcome to our network</html>")

        with pytest.raises(MalformedResponse):
            platform.account_name()

        assert caplog.records == []


class TestMistakeOfOurs:
    """An exception of our own code is neither an outage nor retried; it keeps its traceback."""

    def test_bug_in_conversion_is_raised_as_it_is(self, platform, monkeypatch, respond):
        def broken(task):
            return task.name + 1

        monkeypatch.setattr(work, "task_view", broken)
        respond(b'{"items": [{"id": "ydid:task:000000:1:1:1", "name": "a"}]}')

        with pytest.raises(TypeError) as caught:
            platform.live_tasks("ydid:workreq:000000:1")

        assert caught.traceback[-1].name == "broken"

    def test_call_that_cannot_be_built_is_raised_as_it_is(self, platform, monkeypatch):
        monkeypatch.setattr(requests.Session, "prepare_request", lambda *_: 1 + "a")
        platform._responses._keep(requests.Response())  # of an earlier call of this thread

        with pytest.raises(TypeError):
            platform.live_tasks("ydid:workreq:000000:1")


class TestLists:
    """Lists in pages."""

    def test_list_that_repeats_a_page_raises_malformed_response(self, platform, respond, calls):
        respond(b'{"items": [], "nextSliceId": "2"}')

        with pytest.raises(MalformedResponse, match="does not end, at page 2"):
            platform.live_tasks("ydid:workreq:000000:1")
        assert len(calls.made) == 2

    def test_list_without_end_raises_malformed_response(self, platform, monkeypatch):
        pages = iter(range(20))
        monkeypatch.setattr("yellowdog_client.common.Proxy._handle_response", lambda _, response: response)
        monkeypatch.setattr("requests.Response.json", lambda _: {"items": [], "nextSliceId": str(next(pages))})
        monkeypatch.setattr("yellowdog_ray.platform.calls.MAX_PAGES", 5)

        with pytest.raises(MalformedResponse, match="does not end"):
            platform.live_tasks("ydid:workreq:000000:1")


class TestProxy:
    """A proxy that fails is named."""

    @pytest.mark.parametrize("login", ["", "user:word@"])
    def test_failing_proxy_is_named_without_its_password(self, platform, monkeypatch, login):
        for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", f"http://{login}127.0.0.1:9")

        with pytest.raises(Unavailable) as caught:
            platform.account_name()

        assert "ProxyError at http://" in str(caught.value)
        assert "through the proxy 127.0.0.1:9 of HTTP_PROXY" in str(caught.value)
        assert "word" not in str(caught.value)
