"""The SDK client: its timeouts and its connections."""

from datetime import timedelta

import pytest

from yellowdog_local import faults
from yellowdog_ray.cluster.executors import MAX_CONCURRENT_ABORTS
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.errors import (
    Unavailable,
)
from yellowdog_ray.platform.client import Platform


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
