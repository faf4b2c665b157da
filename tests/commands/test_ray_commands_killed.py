"""SIGKILL of `ray up` or `ray down` at a platform call: the next command completes or removes what it left."""

import pytest

from tests.commands.account import BOOT, NAME
from tests.commands.laptop import Laptop
from tests.simulation.config import QUICK, node_type
from tests.simulation.processes import Killed
from tests.simulation.ray_commands import make_workers

CREATING = {"POST /work/requirements", "POST /workerPools/provisioned/template", "POST /work/taskGroups/{id}/tasks"}
REMOVING = {"DELETE /workerPools/{id}", "PUT /work/requirements/{id}/transition/{status}"}


pytestmark = [
    pytest.mark.search,
    pytest.mark.timeout(600),  # each of some 30 kills of an exhaustive run is followed by one or two whole commands
]


COMPLETION_SECONDS = 100.0
"""Longer than any work that a killed `ray down` has begun on the platform (seconds)."""


def nothing():
    pass


def routes(calls):
    return {f"{call.method} {call.route}" for call in calls}


def test_ray_down_removes_everything_after_killed_ray_up(sweep, laptop, down):
    calls = sweep(nothing, laptop.up, down)

    assert routes(calls) >= CREATING


@pytest.mark.parametrize("signal", [Killed, KeyboardInterrupt], ids=["SIGKILL", "Ctrl-C"])
def test_ray_up_completes_a_killed_ray_up(sweep, laptop, up, down, signal):
    def recover():
        up()
        down()

    calls = sweep(nothing, laptop.up, recover, signal)

    assert routes(calls) >= CREATING


@pytest.fixture
def laptop(account, world) -> Laptop:
    """A laptop for a cluster with two types of workers."""
    workers = {name: node_type(QUICK, max_workers=10) for name in ("cpu", "gpu")}
    head = node_type(QUICK, resources={"CPU": 0}, max_workers=0)
    return Laptop(world, NAME, available_node_types={"head": head, **workers})


@pytest.fixture
def with_workers(world, laptop, up):
    """Brings up a cluster with one worker of each of two types, launched as by its head."""

    def run():
        up()
        with world.processes.inside(world.laptop("workers")):
            make_workers(laptop.yaml, {"cpu": 1, "gpu": 1})
        world.lab.advance(BOOT)

    return run


def test_ray_down_completes_a_killed_ray_down(sweep, with_workers, laptop, down):
    calls = sweep(with_workers, laptop.down, down)

    assert routes(calls) >= REMOVING


def test_ray_up_creates_a_new_cluster_after_killed_ray_down(sweep, with_workers, laptop, down, account, world):
    def recover():
        result = laptop.up()
        assert result.exit_code == 0, result.output
        world.lab.advance(COMPLETION_SECONDS)
        account.assert_one_head()
        down()

    sweep(with_workers, laptop.down, recover)
