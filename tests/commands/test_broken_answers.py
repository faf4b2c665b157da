"""One kind of the platform's answers is broken for good: everything is removed all the same, and nothing is kept back.

Simulated hosts end by themselves once their tasks have ended and their pools shut down.
"""

import json

import pytest

from tests.commands.account import BOOT, NAME
from tests.simulation.distortions import Manners
from tests.simulation.ray_commands import make_workers

ENDED_SECONDS = 60.0

INFORMING = ["GET /compute/requirements/*", "GET /compute/instances", "GET /work/tasks", "GET /workerPools/nodes"]
"""Answers that only inform: nothing is removed by them."""

KINDS = ["an empty object", "500"]


@pytest.fixture
def cluster(laptop, world):
    """A cluster with a worker."""
    up = laptop.up()
    assert up.exit_code == 0, up.output
    with world.processes.inside(world.laptop("workers")):
        make_workers(laptop.yaml, {"worker": 1})
    world.lab.advance(BOOT)


@pytest.mark.usefixtures("cluster")
class TestRayDown:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("call", INFORMING)
    def test_ray_down_removes_everything_while_an_informing_answer_is_broken(
        self, laptop, account, wire, world, call, kind
    ):
        with wire.trouble(kind, call):
            down = laptop.down()

        account.assert_nothing_left()
        assert "Traceback" not in down.output
        if "compute" in call:
            assert down.exit_code == 1
            assert f"worker pools {NAME}-head-" in down.output or f"worker pool {NAME}-" in down.output
            assert "run `ray down` again" in down.output
            assert "nothing is left" not in down.output
        else:
            assert down.exit_code == 0, down.output
            assert f"nothing is left of cluster '{NAME}'" in down.output

    def test_ray_down_tries_every_step_when_one_pool_cannot_be_found(self, laptop, account, wire, world):
        with wire.trouble("an empty object", f"GET /workerPools/demo/{NAME}-worker-*"):
            down = laptop.down()

        assert down.exit_code == 1
        assert f"worker pool {NAME}-worker-" in down.output
        world.lab.advance(ENDED_SECONDS)  # its platform nodes end by themselves, since their tasks were aborted
        assert list(account.instances()) == []

    def test_ray_down_cancels_the_work_requirement_when_pools_cannot_be_shut_down(self, laptop, account, wire):
        with wire.trouble("400", "DELETE /workerPools/*"):
            laptop.down()

        account.assert_nothing_left()  # idle pools end by themselves

    def test_ray_down_ends_all_machines_when_the_work_requirement_cannot_be_cancelled(self, laptop, account, wire):
        with wire.trouble("400", "PUT /work/requirements/*"):
            down = laptop.down()

        assert down.exit_code == 1
        assert f"the platform still shows 0 instances, work requirement {NAME}" in down.output
        assert list(account.instances()) == []

    def test_ray_down_names_what_to_end_when_the_work_requirement_cannot_be_read(self, laptop, wire):
        with wire.trouble("an empty object", "GET /work/*requirements*"):
            down = laptop.down()

        assert down.exit_code == 1
        successor = f"(or its successor, '{NAME}-2' and so on)"
        assert f"end work requirement '{NAME}' {successor} and the worker pools named after it" in down.output
        assert "nothing is left" not in down.output


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["GET /compute/requirements/*", "GET /compute/instances"])
def test_ray_up_succeeds_while_answers_that_only_inform_are_broken(laptop, account, wire, call, kind):
    with wire.trouble(kind, call):
        up = laptop.up()

    assert up.exit_code == 0, up.output
    account.assert_one_cluster()


class _BrokenSources(Manners):
    """A platform whose answers about templates have a source that is no object."""

    def __init__(self, part: object) -> None:
        super().__init__()
        self.part = part
        self.broken = 0

    def shape(self, call: str, body: bytes, now: object) -> bytes:
        if "/compute/templates/" not in call or b'"sources"' not in body:
            return super().shape(call, body, now)
        answer = json.loads(body)
        answer["computeRequirement"]["provisionStrategy"]["sources"] = [self.part]
        self.broken += 1
        return json.dumps(answer).encode()


@pytest.mark.parametrize("part", [None, 5, "x", [], {}])
def test_ray_up_succeeds_while_a_template_has_a_source_that_is_no_object(laptop, account, world, part):
    world.wire.manners = _BrokenSources(part)

    up = laptop.up()

    assert world.wire.manners.broken
    assert up.exit_code == 0, up.output
    account.assert_one_cluster()
