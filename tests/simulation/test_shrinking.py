"""How a cluster shrinks: what Ray gives back ends on the platform, and nothing else does."""

import pytest

GIVE_BACK_TICKS = 25
"""A minute of idleness, and what the platform takes to end an instance."""


def test_idle_nodes_are_given_back_and_their_instances_end(world):
    world.grown_to(5)

    world.want_cpus(0)
    world.ticks(GIVE_BACK_TICKS)

    assert world.listed() == set()
    assert world.instances == []
    assert not world.head.status.finished


def test_a_cluster_that_has_shrunk_grows_again(world):
    world.grown_to(3)
    world.want_cpus(0)
    world.ticks(GIVE_BACK_TICKS)

    world.grown_to(4)

    assert len(world.instances) == 4


def test_a_busy_node_stays_while_the_idle_ones_go(world):
    world.grown_to(4)
    world.want_cpus(1)
    world.tick()
    (busy,) = {raylet.node_id for raylet in world.ray.workers if not raylet.idle}

    world.ticks(GIVE_BACK_TICKS)

    assert world.listed() == {busy}
    assert len(world.instances) == 1


def test_nobody_is_given_back_before_the_idle_time_is_over(world):
    world.grown_to(3)

    world.want_cpus(0)
    world.ticks(10)

    assert len(world.listed()) == 3


def test_an_abort_that_is_lost_on_the_way_is_asked_for_again(world):
    world.grown_to(2)
    (node_id, _) = sorted(world.listed())
    with world.wire.losing(lambda call: "/work/tasks/" in call):
        world.provider.terminate_nodes([node_id])
        world.settle()
    assert not world.task(node_id).status.finished

    world.want_cpus(1)
    world.ticks(4)

    assert world.task(node_id).status.finished


def test_ids_of_nodes_that_nobody_knows_are_no_reason_to_spare_the_others(world):
    world.grown_to(2)
    gone, kept = sorted(world.listed())

    world.provider.terminate_nodes(["worker-of-yesterday", gone])
    world.settle()

    assert world.listed() == {kept}
    assert world.task(gone).status.finished
    assert not world.task(kept).status.finished


def test_ending_a_node_twice_is_ending_it_once(world):
    world.grown_to(1)
    (node_id,) = world.listed()

    world.provider.terminate_nodes([node_id])
    world.provider.terminate_nodes([node_id])
    world.settle()

    assert world.task(node_id).status.finished


@pytest.mark.parametrize("together_with_workers", [False, True])
def test_the_head_does_not_end_itself(world, together_with_workers):
    world.grown_to(2)
    workers = sorted(world.listed()) if together_with_workers else []

    world.provider.terminate_nodes([world.head.entity.name, *workers])
    world.settle()

    assert not world.head.status.finished
    assert world.head.entity.abortRequestedTime is None
    assert all(world.task(node_id).status.finished for node_id in workers)


@pytest.mark.parametrize("kind", ["v2"], indirect=True, ids=["v2"])  # Ray's v1 never ends a head
def test_a_head_that_ray_never_sees_is_not_ended_for_it(make_world):
    world = make_world(cluster_lifetime_hours=5)
    world.ray.silent = {world.head.entity.name}

    for _ in range(4):
        world.tick(1_900)

    assert not world.head.status.finished


def test_many_nodes_in_one_call_all_end_and_leave_the_listing_at_once(world):
    world.want_cpus(150)
    world.tick()
    nodes = world.listed()
    assert len(nodes) == 150

    world.provider.terminate_nodes(sorted(nodes))

    assert world.listed() == set()
    world.settle()
    assert all(task.status.finished for task in world.tasks() if task is not world.head)


def test_a_node_that_is_given_up_before_the_platform_shows_it_still_ends(world):
    world.want_cpus(1)
    world.tick()
    (node_id,) = world.listed()

    world.want_cpus(0)
    world.provider.terminate_nodes([node_id])
    world.settle()
    world.ticks(6)

    assert world.task(node_id).status.finished
    assert world.listed() == set()
    assert world.instances == []
