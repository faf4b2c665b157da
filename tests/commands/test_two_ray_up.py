"""Two `ray up` of one cluster at the same time: one cluster, and one of the two reports the other."""

import pytest

from tests.commands.laptop import Laptop, assert_one_clear_message
from tests.simulation.config import QUICK, node_type
from tests.simulation.trouble import Trouble
from yellowdog_local.state.settings import Settings

CREATING = ["POST /work/requirements", "POST /workerPools/provisioned/template", "POST /work/taskGroups/*/tasks"]
WAITING = "GET /compute/instances"
"""The call that a `ray up` makes only while it waits for its head."""

DIFFERS = "another `ray up` with a different configuration"
RUNS = "cluster 'ray' runs with another head"
TAKEN_DOWN = "the cluster was torn down"
NOTED = "which another `ray up` began"


@pytest.fixture(params=[True, False], ids=["names can be used again", "names can be used once"])
def settings(request):
    """The platform's settings."""
    return Settings(reuse_finished_names=request.param)


@pytest.fixture
def laptop(laptop, settings):
    """A laptop; where names can be used once, the cluster's own is used up."""
    if not settings.reuse_finished_names:
        laptop.up()
        laptop.down()
    return laptop


at_each_change = [
    pytest.mark.parametrize("call", CREATING, ids=["work requirement", "pool", "head"]),
    pytest.mark.parametrize("applied", [False, True], ids=["before", "after"]),
]


def each_change(test):
    for mark in at_each_change:
        test = mark(test)
    return test


@each_change
def test_two_ray_up_bring_up_one_cluster_with_the_same_configuration(laptop, wire, account, call, applied):
    meanwhile = []

    def second_ray_up():
        meanwhile.extend([laptop.up(), account.assert_one_head()])

    with wire.interrupted("ray up", call, second_ray_up, applied=applied):
        other = laptop.up()

    second, made = meanwhile
    assert (second.exit_code, other.exit_code) == (0, 0), second.output + other.output
    assert account.assert_one_head() is made
    account.assert_one_cluster()
    if not (call == CREATING[2] and applied):  # then the second finds an almost complete cluster
        assert [NOTED in result.output for result in (second, other)].count(True) == 1


def test_refused_head_leaves_the_head_of_the_other_ray_up(laptop, wire, account):
    """The other one adopts the work requirement and submits the head; then that of the first is declined."""
    refusal = Trouble("400", CREATING[2])
    meanwhile = []

    def other_ray_up():
        meanwhile.extend([laptop.up(), account.assert_one_head()])
        wire.add(refusal)

    with wire.interrupted("ray up", CREATING[2], other_ray_up, applied=False):
        result = laptop.up()
    wire.remove(refusal)

    other, head = meanwhile
    assert (other.exit_code, result.exit_code) == (0, 0), result.output
    assert account.assert_one_head() is head


@each_change
def test_one_of_two_ray_up_fails_with_another_configuration(
    laptop, with_another_configuration, wire, account, call, applied
):
    meanwhile = []

    def other_ray_up():
        meanwhile.append(with_another_configuration.up())

    with wire.interrupted("ray up", call, other_ray_up, applied=applied):
        result = laptop.up()
    (other,) = meanwhile

    if (call, applied) == (CREATING[2], True):  # the first has its head already
        failed, up, phrase = other, result, RUNS
    else:
        failed, up, phrase = result, other, DIFFERS
    assert up.exit_code == 0, up.output
    assert_one_clear_message(failed, phrase)
    account.assert_one_cluster()


@pytest.fixture
def with_another_configuration(world, account) -> Laptop:
    """A laptop for the same cluster with another image for its head."""
    types = {
        "head": node_type(QUICK, resources={"CPU": 0}, max_workers=0),
        "worker": node_type(QUICK, max_workers=10),
    }
    types["head"]["node_config"]["images_id"] = "another-image"
    return Laptop(world, "ray", available_node_types=types)


def test_ray_up_keeps_the_cluster_that_has_replaced_its_head(laptop, with_another_configuration, wire, account):
    meanwhile = []

    def others_ray_down_and_up():
        meanwhile.extend([with_another_configuration.down(), with_another_configuration.up()])

    with wire.interrupted("ray up", WAITING, others_ray_down_and_up, applied=False):
        result = laptop.up()
    down, other = meanwhile

    assert (down.exit_code, other.exit_code) == (0, 0), down.output + other.output
    assert_one_clear_message(result, TAKEN_DOWN)
    account.assert_one_cluster()
