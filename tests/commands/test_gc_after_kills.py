"""`raydog gc` removes what killed `ray up` and `ray down` have left, beside other clusters and strangers' things."""

import json

import pytest
from typer.testing import CliRunner

from raydog_cli.main import app
from tests.commands.account import BOOT, NAME, NAMESPACE
from tests.selection import EXHAUSTIVE
from tests.simulation.ray_commands import make_workers
from yellowdog_ray.clock import SystemClock

pytestmark = [pytest.mark.search, pytest.mark.timeout(600)]

OLD_SECONDS = 700.0
"""Longer than what `raydog gc` takes for young."""


@pytest.fixture
def gc(world, monkeypatch):
    """`raydog gc`, ten minutes later. A cluster whose head lives stays then, and is ended by `raydog down`."""
    living = []
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: world.pass_time(seconds))
    monkeypatch.setattr(SystemClock, "now", lambda _: world.lab.clock.now())

    def raydog(*arguments):
        with world.processes.inside(world.laptop(f"raydog {arguments[0]}")):
            return CliRunner().invoke(app, [*arguments, "--namespace", NAMESPACE])

    def run():
        world.lab.advance(OLD_SECONDS)
        removal = raydog("gc", "-y")
        assert removal.exit_code == 0, removal.output
        states = {one["name"]: one["state"] for one in json.loads(raydog("list", "--json").stdout)["clusters"]}
        living.append(NAME in states)
        if NAME in states:
            assert states[NAME] == "up"
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
