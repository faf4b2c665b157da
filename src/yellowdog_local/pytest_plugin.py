"""Fixtures for tests of programs that use YellowDog: `pytest_plugins = ["yellowdog_local.pytest_plugin"]`.

`yellowdog` is a fresh platform per test, with simulated hosts; `yellowdog_client` is an SDK client for it. Time passes
only in calls of `yellowdog.advance(seconds)`. Override `yellowdog_clock` to return a `RealClock()` for real time, and
`yellowdog_settings` for other assumptions about YellowDog.
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
    """The platform's behaviour where that of the real one is not known."""
    return Settings()


@pytest.fixture
def yellowdog(yellowdog_clock: Clock, yellowdog_settings: Settings) -> Iterator[RunningPlatform]:
    """A platform that is served over HTTP, with its `faults` and `calls`."""
    with local_platform(clock=yellowdog_clock, settings=yellowdog_settings) as running:
        yield running


@pytest.fixture
def yellowdog_client(yellowdog: RunningPlatform) -> Iterator[PlatformClient]:
    """An SDK client for the platform, with short retries."""
    client = yellowdog.client()
    with client:
        yield client
