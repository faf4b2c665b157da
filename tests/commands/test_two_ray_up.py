"""Two `ray up` of one cluster at the same time: one cluster, and one of the two says what it has found."""

import pytest

from tests.commands.laptop import QUICK, Laptop, Paused, assert_one_clear_message, node_type

CREATING = ["POST /work/requirements", "POST /workerPools/provisioned/template", "POST /work/taskGroups/*/tasks"]
WAITING = "GET /compute/instances"
"""What a `ray up` asks only while it waits for its head."""

DIFFERS = "another `ray up` with a different configuration"
RUNS = "cluster 'ray' runs with another head"
TAKEN_DOWN = "torn down while this command was waiting"
NOTED = "which another `ray up` has begun"

at_each_change = [
    pytest.mark.parametrize("call", CREATING, ids=["work requirement", "pool", "head"]),
    pytest.mark.parametrize("applied", [False, True], ids=["before", "after"]),
]


def each_change(test):
    for mark in at_each_change:
        test = mark(test)
    return test


@each_change
def test_of_the_same_configuration_both_bring_up_the_same_cluster(laptop, wire, account, call, applied):
    with Paused(wire, laptop.up, call, applied=applied) as first:
        second = laptop.up()
        made = account.assert_one_head()
        other = first.go_on()

    assert (second.exit_code, other.exit_code) == (0, 0), second.output + other.output
    assert account.assert_one_head() is made
    account.assert_one_cluster()
    if not (call == CREATING[2] and applied):  # then the second finds a cluster that is as good as complete
        assert [NOTED in result.output for result in (second, other)].count(True) == 1


@each_change
def test_of_another_configuration_one_is_told_so_and_the_other_has_its_cluster(
    laptop, with_another_configuration, wire, account, call, applied
):
    with Paused(wire, laptop.up, call, applied=applied) as paused:
        other = with_another_configuration.up()
        result = paused.go_on()

    if (call, applied) == (CREATING[2], True):  # the first has its head already
        told, up, phrase = other, result, RUNS
    else:
        told, up, phrase = result, other, DIFFERS
    assert up.exit_code == 0, up.output
    assert_one_clear_message(told, phrase)
    account.assert_one_cluster()


@pytest.fixture
def with_another_configuration(home, account) -> Laptop:
    """Where commands for the same cluster are given, with another image for its head."""
    types = {
        "head": node_type(QUICK, resources={"CPU": 0}, max_workers=0),
        "worker": node_type(QUICK, max_workers=10),
    }
    types["head"]["node_config"]["images_id"] = "another-image"
    return Laptop(home, "ray", available_node_types=types)


def test_a_ray_up_whose_head_another_has_replaced_leaves_the_others_cluster_alone(
    laptop, with_another_configuration, wire, account
):
    with Paused(wire, laptop.up, WAITING, applied=False) as paused:
        down = with_another_configuration.down()
        other = with_another_configuration.up()
        result = paused.go_on()

    assert (down.exit_code, other.exit_code) == (0, 0), down.output + other.output
    assert_one_clear_message(result, TAKEN_DOWN)
    account.assert_one_cluster()
