"""Failures of platform calls: how each is translated, and which are never hidden."""

import pytest
import requests
from yellowdog_client.common.json import Json
from yellowdog_client.model import Node, Slice

from yellowdog_local import faults
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
from yellowdog_ray.platform.errors import sdk_errors
from yellowdog_ray.platform.responses import Responses
from yellowdog_ray.redaction import hide


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


def test_unknown_value_of_an_enumeration_is_named_with_its_field():
    with pytest.raises(MalformedResponse) as caught, sdk_errors("the nodes", Responses()):
        Json.load({"items": [{"id": "n", "status": "DEGRADED"}]}, Slice[Node])

    assert "the nodes: status: 'DEGRADED' is not a valid NodeStatus" in str(caught.value)
    assert "is it a YellowDog endpoint" not in str(caught.value)
