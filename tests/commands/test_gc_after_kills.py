"""`raydog gc` removes what killed `ray up` and `ray down` have left, beside other clusters and strangers' things."""

import json
import random

import pytest
from typer.testing import CliRunner

from raydog_cli.main import app
from tests.commands.account import BOOT, NAME, NAMESPACE, OTHER_CLUSTERS
from tests.commands.laptop import Laptop
from tests.selection import EXHAUSTIVE
from tests.simulation.processes import every_kill
from tests.simulation.ray_commands import make_workers
from yellowdog_ray.clock import SystemClock

pytestmark = [pytest.mark.search, pytest.mark.timeout(600)]

OLD_SECONDS = 700.0
"""Longer than what `raydog gc` takes for young."""


KILLS = 200 if EXHAUSTIVE else 10
"""Killed commands of the test that leaves all of them to one `raydog gc`."""


@pytest.fixture
def raydog(world, monkeypatch):
    """A command of `raydog` for the namespace, on the platform's clock."""
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: world.pass_time(seconds))
    monkeypatch.setattr(SystemClock, "now", lambda _: world.lab.clock.now())

    def run(*arguments):
        with world.processes.inside(world.laptop(f"raydog {arguments[0]}")):
            return CliRunner().invoke(app, [*arguments, "--namespace", NAMESPACE])

    return run


@pytest.fixture
def states(raydog):
    """Gives the state of each cluster that `raydog list` shows."""
    return lambda: {one["name"]: one["state"] for one in json.loads(raydog("list", "--json").stdout)["clusters"]}


@pytest.fixture
def gc(world, raydog, states):
    """`raydog gc`, ten minutes later. A cluster whose head lives stays then, and is ended by `raydog down`."""
    living = []

    def run():
        world.lab.advance(OLD_SECONDS)
        removal = raydog("gc", "-y")
        assert removal.exit_code == 0, removal.output
        left = states()
        living.append(NAME in left)
        if NAME in left:
            assert left[NAME] == "up"
            assert raydog("down", NAME, "-y").exit_code == 0

    yield run
    assert set(living) == {True, False}


def test_gc_removes_what_a_killed_ray_up_has_left(sweep, laptop, gc):
    sweep(lambda: None, laptop.up, gc)


@pytest.mark.skipif(not EXHAUSTIVE, reason="one sweep is enough for the fast tests")
def test_gc_removes_what_a_killed_ray_down_has_left(sweep, world, laptop, up, gc):
    def with_worker():
        up()
        with world.processes.inside(world.laptop("workers")):
            make_workers(laptop.yaml, {"worker": 1})
        world.lab.advance(BOOT)

    sweep(with_worker, laptop.down, gc)


def test_gc_removes_what_many_killed_commands_have_left_and_nothing_of_others(world, account, raydog, states):
    chance = random.Random("raydog gc")
    kills = {command: every_kill(calls) for command, calls in calls_of_a_life(world).items()}
    for number in range(KILLS):
        killed = Laptop(world, f"ray-{number:03}")
        world.wire.clear()  # its limit is for one command
        if number % 2:
            assert killed.up().exit_code == 0
            killed.down(chance.choice(kills["down"]))
        else:
            killed.up(chance.choice(kills["up"]))
    world.lab.advance(OLD_SECONDS)
    before = states()

    removal = raydog("gc", "-y")

    assert removal.exit_code == 0, removal.output
    account.assert_others_untouched()
    after = states()
    ours = {name for name in after if name not in OTHER_CLUSTERS}
    assert {after[name] for name in ours} == {"up"}  # the head of a `ray up` that was killed late, for example
    assert ours == {name for name in before if name not in OTHER_CLUSTERS and before[name] == "up"}
    assert 0 < len(ours) < KILLS
    assert len(list(account.instances())) == len(ours)
    for name in ours:
        assert raydog("down", name, "-y").exit_code == 0
    account.assert_nothing_left()


def calls_of_a_life(world):
    """The calls of a `ray up` and a `ray down` that nothing interrupts."""
    laptop = Laptop(world, "ray-life")
    calls = {}
    for name, command in (("up", laptop.up), ("down", laptop.down)):
        mark = world.lab.calls.mark()
        assert command().exit_code == 0
        calls[name] = world.lab.calls.since(mark)
    return calls
