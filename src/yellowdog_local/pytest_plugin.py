"""Fixtures for tests of programs that use YellowDog: `pytest_plugins = ["yellowdog_local.pytest_plugin"]`.

`yellowdog` is a fresh platform per test, with simulated hosts; `yellowdog_client` is the SDK's client for it. Time
passes only by `yellowdog.advance(seconds)`; a test or module that wants real time overrides `yellowdog_clock` to give a
`RealClock()`, and one that wants other assumptions overrides `yellowdog_settings`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from yellowdog_client import PlatformClient

from yellowdog_local.state.clock import Clock, SteppedClock
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import RunningPlatform, local_platform


@pytest.fixture
def yellowdog_clock() -> Clock:
    """The platform's clock."""
    return SteppedClock()


@pytest.fixture
def yellowdog_settings() -> Settings:
    """How the platform behaves where the real one's behaviour is not known."""
    return Settings()


@pytest.fixture
def yellowdog(yellowdog_clock: Clock, yellowdog_settings: Settings) -> Iterator[RunningPlatform]:
    """A platform that is being served, with its `faults` and its `calls`."""
    with local_platform(clock=yellowdog_clock, settings=yellowdog_settings) as running:
        yield running


@pytest.fixture
def yellowdog_client(yellowdog: RunningPlatform) -> Iterator[PlatformClient]:
    """The SDK's client for the platform, with short retries."""
    client = yellowdog.client()
    with client:
        yield client
