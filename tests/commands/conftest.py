from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import laptop as ray_commands
from tests.commands.account import NAME, Account
from tests.commands.laptop import Laptop
from tests.simulation.wire import Wire
from tests.simulation.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty platform, and a user who has a good key and whose `ray` commands are on the platform's clock."""
    with World(tmp_path) as world:
        ray_commands.prepare(world)
        yield world
        world.witness.look()


@pytest.fixture
def account(world: World) -> Iterator[Account]:
    """The platform's account, with others' things in it."""
    made = Account(world)
    yield made
    made.close()


@pytest.fixture
def wire(world: World) -> Wire:
    """The wire to the platform."""
    return world.wire


@pytest.fixture
def laptop(world: World, account: Account) -> Laptop:
    """Where `ray up` and `ray down` are given."""
    return Laptop(world, NAME)
