"""Fixtures for tests of the local platform that need no HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulation.lab import Lab, LabMaker
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.settings import Settings
from yellowdog_local.state.store import Store


@pytest.fixture
def make_lab() -> Iterator[LabMaker]:
    made: list[LocalPlatform] = []

    def make(**settings: Any) -> Lab:
        clock, hosts = SteppedClock(), SimulatedHosts()
        platform = LocalPlatform(hosts=hosts, clock=clock, settings=Settings(random_seed=1, **settings))
        made.append(platform)
        return Lab(platform, clock, hosts)

    yield make
    for platform in made:
        platform.close()
        assert not platform.hosts.instance_ids  # type: ignore[attr-defined]


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    return make_lab()


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(SteppedClock(), Settings(random_seed=1), run_pass=lambda: None)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def ids() -> Ids:
    return Ids(seed=1)
