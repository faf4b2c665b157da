"""The platform over HTTP with a stepped clock, and an SDK client for it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from yellowdog_client import PlatformClient

from tests.contract.watched_sdk import watched
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import RunningPlatform, local_platform


@pytest.fixture(scope="package", autouse=True)
def _watched() -> Iterator[None]:
    with watched():
        yield


@pytest.fixture
def local() -> Iterator[RunningPlatform]:
    with local_platform(clock=SteppedClock(), settings=Settings(default_slice_size=3)) as running:
        yield running


@pytest.fixture
def client(local: RunningPlatform) -> Iterator[PlatformClient]:
    with local.client() as made:
        yield made


@pytest.fixture
def http(local: RunningPlatform) -> Iterator[httpx.Client]:
    """A plain HTTP client with the platform's key."""
    headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
    with httpx.Client(base_url=local.url, headers=headers, timeout=10) as client:
        yield client
