from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import laptop as ray_commands
from tests.commands.account import NAME, Account
from tests.commands.laptop import Laptop
from tests.simulation.processes import Killed, every_kill
from tests.simulation.wire import Wire
from tests.simulation.world import World
from yellowdog_local.state.settings import Settings


@pytest.fixture
def settings() -> Settings:
    """The platform's settings."""
    return Settings()


@pytest.fixture
def world(tmp_path: Path, settings: Settings) -> Iterator[World]:
    """An empty platform, and a user who has a good key and whose `ray` commands are on the platform's clock."""
    with World(tmp_path, settings=settings) as world:
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


@pytest.fixture
def sweep(world, account):
    """Kills a command at its calls in turn (`every_kill`), each time in a new cluster, then runs the recovery."""

    def run(prepare, command, recover, signal=Killed):
        for _ in range(2):  # the first cluster of a laptop may take a call more
            prepare()
            mark = world.lab.calls.mark()
            command()
            calls = world.lab.calls.since(mark)
            recover()
            account.assert_nothing_left()
        for kill in every_kill(calls, signal):
            world.wire.clear()  # its limit is for one command
            prepare()
            try:
                command(kill)
                account.imitate()
                recover()
                account.assert_nothing_left()
            except Exception as failure:
                raise AssertionError(f"not recovered from {kill}: {failure}") from failure
        return calls

    return run


@pytest.fixture
def down(laptop, account):
    """`ray down`, which must succeed."""

    def run():
        result = laptop.down()
        assert result.exit_code == 0, result.output
        account.assert_nothing_left()

    return run


@pytest.fixture
def up(laptop, account):
    """`ray up`, which must succeed."""

    def run():
        result = laptop.up()
        assert result.exit_code == 0, result.output
        account.assert_one_cluster()

    return run
