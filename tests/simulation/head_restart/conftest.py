"""A cluster whose workers may replace its head, before and after the loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.config import cluster_config
from tests.simulation.conftest import MakeWorld
from tests.simulation.head_restart.stage import NOTICED, Stage
from tests.simulation.world import World
from yellowdog_local.recording import RecordedCall


@pytest.fixture
def kind() -> str:
    """The version of Ray's autoscaler, which does not matter here."""
    return "v2"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A cluster whose workers may replace its head."""
    provider = {**cluster_config("ray", Path("key"))["provider"], "head_restart": True}
    return make_world(provider=provider)


@pytest.fixture
def stage(world: World) -> Stage:
    """A cluster with carriers, whose head lives."""
    return Stage(world)


@pytest.fixture
def lost(stage: Stage) -> Stage:
    """A cluster whose head's cable was cut, as the platform has noticed."""
    stage.lose_head()
    stage.world.lab.advance(NOTICED)
    return stage


@pytest.fixture
def calls(lost: Stage) -> list[RecordedCall]:
    """The calls of a carrier that replaces a head."""
    mark = lost.world.lab.calls.mark()
    assert lost.carry()
    calls = lost.world.lab.calls.since(mark)
    lost.renew()
    return calls
