"""What the SDK's failures become."""

from datetime import timedelta

import pytest

from yellowdog_local import faults
from yellowdog_ray.cluster.cluster import ABORTS_AT_ONCE
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.errors import NotAuthorised, NotFound, PlatformError, Refused, Throttled, Unavailable
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.redaction import hide


@pytest.fixture
def platform(local) -> Platform:
    return Platform(Credentials(local.url, local.key_id, local.key_secret), "demo")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        # Once only: whoever obeyed its Retry-After would see no failure.
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
def test_each_kind_of_failure_has_its_name(local, platform, fault, expected):
    with local.faults.during(fault), pytest.raises(expected):
        platform.account_name()

    assert platform.account_name() == "local"


def test_an_answer_of_another_shape_is_no_answer(platform, monkeypatch):
    monkeypatch.setattr("requests.Response.json", lambda _: {"items": 3})

    with pytest.raises(Unavailable, match="does not speak as YellowDog does"):
        platform.find_work_requirement("demo")


READS = {
    "find_work_requirement": "crew",
    "work_requirement": "ydid:workreq:000000:1",
    "live_tasks": "ydid:workreq:000000:1",
    "find_pool": "crew-head-00000000",
    "platform_nodes": "ydid:wrkrpool:000000:1",
    "compute": "ydid:compreq:000000:1",
    "pool": "ydid:wrkrpool:000000:1",
    "platform_node": "ydid:node:000000:1",
    "task_spec": "ydid:task:000000:1",
    "template_id": "demo/local",
    "instance_types_of": "demo/local",
}


@pytest.mark.parametrize("read", READS)
def test_nonsense_is_never_taken_for_an_empty_list(platform, monkeypatch, read):
    monkeypatch.setattr("yellowdog_client.common.Proxy._handle_response", lambda _, response: response)

    for answer in ({}, [], None, "up", {"status": "fine"}):
        monkeypatch.setattr("requests.Response.json", lambda _, answer=answer: answer)
        with pytest.raises(Unavailable, match="does not speak as YellowDog does"):
            getattr(platform, read)(READS[read])


def test_no_failure_tells_the_secret(local, platform):
    hide(local.key_secret)  # as whoever loads the key does

    for status in (400, 401, 403, 404, 429, 500):
        repeated = faults.Status(call="GET /application", status=status, message=f"what is {local.key_secret}?")
        with local.faults.during(repeated), pytest.raises(PlatformError) as caught:
            platform.account_name()
        assert local.key_secret not in str(caught.value)


def test_a_call_that_takes_too_long_is_given_up(local, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.platform.client.READ_TIMEOUT", timedelta(seconds=0.2))
    platform = Platform(Credentials(local.url, local.key_id, local.key_secret), "demo")

    with (
        local.faults.during(faults.Delay(call="GET /application", seconds=2)),
        pytest.raises(Unavailable, match="no answer"),
    ):
        platform.account_name()


def test_the_sdk_keeps_as_many_connections_as_there_are_aborts_at_once(platform):
    session = platform._client._PlatformClient__session

    assert session.get_adapter(platform.url).poolmanager.connection_pool_kw["maxsize"] > ABORTS_AT_ONCE
