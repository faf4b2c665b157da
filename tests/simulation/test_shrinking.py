"""Terminations: a node that Ray terminates ends on the platform, and no other does."""

import pytest

GIVE_BACK_TICKS = 25
"""The idle timeout of one minute, and the time in which the platform terminates an instance."""


def test_idle_nodes_and_their_instances_are_terminated(world):
    world.grow_to(5)

    world.want_cpus(0)
    world.ticks(GIVE_BACK_TICKS)

    assert world.listed() == set()
    assert world.instances == []
    assert not world.head.status.finished


def test_cluster_grows_again_after_shrinking(world):
    world.grow_to(3)
    world.want_cpus(0)
    world.ticks(GIVE_BACK_TICKS)

    world.grow_to(4)

    assert len(world.instances) == 4


def test_busy_node_is_kept_while_idle_nodes_are_terminated(world):
    world.grow_to(4)
    world.want_cpus(1)
    world.tick()
    (busy,) = {raylet.node_id for raylet in world.ray.workers if not raylet.idle}

    world.ticks(GIVE_BACK_TICKS)

    assert world.listed() == {busy}
    assert len(world.instances) == 1


def test_no_node_is_terminated_before_the_idle_timeout(world):
    world.grow_to(3)

    world.want_cpus(0)
    world.ticks(10)

    assert len(world.listed()) == 3


def test_lost_abort_is_repeated(world):
    world.grow_to(2)
    (node_id, _) = sorted(world.listed())
    with world.wire.losing(lambda call: "/work/tasks/" in call):
        world.provider.terminate_nodes([node_id])
        world.run_threads()
    assert not world.task(node_id).status.finished

    world.want_cpus(1)
    world.ticks(4)

    assert world.task(node_id).status.finished


def test_unknown_node_ids_do_not_prevent_other_terminations(world):
    world.grow_to(2)
    gone, kept = sorted(world.listed())

    world.provider.terminate_nodes(["worker-of-yesterday", gone])
    world.run_threads()

    assert world.listed() == {kept}
    assert world.task(gone).status.finished
    assert not world.task(kept).status.finished


def test_node_may_be_terminated_twice(world):
    world.grow_to(1)
    (node_id,) = world.listed()

    world.provider.terminate_nodes([node_id])
    world.provider.terminate_nodes([node_id])
    world.run_threads()

    assert world.task(node_id).status.finished


@pytest.mark.parametrize("together_with_workers", [False, True])
def test_head_does_not_terminate_itself(world, together_with_workers):
    world.grow_to(2)
    workers = sorted(world.listed()) if together_with_workers else []

    world.provider.terminate_nodes([world.head.entity.name, *workers])
    world.run_threads()

    assert not world.head.status.finished
    assert world.head.entity.abortRequestedTime is None
    assert all(world.task(node_id).status.finished for node_id in workers)


@pytest.mark.parametrize("kind", ["v2"], indirect=True, ids=["v2"])  # v1 never terminates a head
def test_head_is_kept_when_the_control_store_never_reports_it(make_world):
    world = make_world(cluster_lifetime_hours=5)
    world.ray.silent = {world.head.entity.name}

    for _ in range(4):
        world.tick(1_900)

    assert not world.head.status.finished


def test_many_nodes_leave_the_listing_at_once_and_are_terminated(world):
    world.want_cpus(150)
    world.tick()
    nodes = world.listed()
    assert len(nodes) == 150

    world.provider.terminate_nodes(sorted(nodes))

    assert world.listed() == set()
    world.run_threads()
    assert all(task.status.finished for task in world.tasks() if task is not world.head)


def test_node_is_terminated_before_the_platform_lists_it(world):
    world.want_cpus(1)
    world.tick()
    (node_id,) = world.listed()

    world.want_cpus(0)
    world.provider.terminate_nodes([node_id])
    world.run_threads()
    world.ticks(6)

    assert world.task(node_id).status.finished
    assert world.listed() == set()
    assert world.instances == []
