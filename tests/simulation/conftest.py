from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.simulation.config import cluster_config
from tests.simulation.lab import Lab
from tests.simulation.user_commands import add_neighbour
from tests.simulation.world import World
from yellowdog_local.state.settings import Settings

CLUSTER = "ray"
NEIGHBOUR = "ray-production"
NEIGHBOUR_WORKERS = 2

MakeWorld = Callable[..., World]


@pytest.fixture(params=["v2", "v1"])
def kind(request: pytest.FixtureRequest) -> str:
    """The version of Ray's autoscaler."""
    return request.param


@pytest.fixture
def settings() -> Settings:
    """The platform's settings."""
    return Settings()


@pytest.fixture
def platform_only(tmp_path: Path, kind: str, settings: Settings) -> Iterator[World]:
    """A world with a neighbour, whose name begins like that of our cluster, which is not there yet."""
    with World(tmp_path, autoscaler=kind, settings=settings) as world:
        config = cluster_config(NEIGHBOUR, world.key, cluster_lifetime_hours=10)
        add_neighbour(world, config, {"worker": NEIGHBOUR_WORKERS})
        world.pass_time(10)  # until its workers have booted
        yield world
        world.witness.look()


@pytest.fixture
def lab(platform_only: World) -> Lab:
    """The platform."""
    return platform_only.lab


@pytest.fixture
def home(platform_only: World) -> Path:
    """The home of the user and of the head's user."""
    return platform_only.home


@pytest.fixture
def waits(platform_only: World, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the Redis client wanted to sleep before its next attempt at the tag store."""
    wanted: list[float] = []
    monkeypatch.setattr("redis.retry.sleep", wanted.append)
    return wanted


@pytest.fixture
def make_world(platform_only: World) -> MakeWorld:
    """Brings up a cluster under Ray's autoscaler; keyword arguments go into its YAML."""

    def make(**changes: object) -> World:
        world = platform_only
        world.yaml = cluster_config(CLUSTER, world.key, **changes)
        world.ours.begin()
        assert world.up()
        return world

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A cluster of one worker type, CPU: 1, whose head has just come up."""
    return make_world()
