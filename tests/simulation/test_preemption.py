"""A spot notice: the node is drained by Ray, its replacement is there before it is lost."""

import pytest

NOTICE_SECONDS = 120


@pytest.fixture
def world(make_world):
    """Two busy workers, whose replacements do not become idle before they are needed."""
    world = make_world(idle_timeout_minutes=5)
    world.grown_to(2)
    return world


def warn(world, node_id, notice_seconds=NOTICE_SECONDS):
    """Let the cloud warn of the loss of a node's instance."""
    pool = world.task(node_id).worker.node.pool.name
    world.fault("lost", pool=pool, notice=True, notice_seconds=notice_seconds, times=1)
    world.lab.advance(0.1)


def warned(world):
    """Which node was meant."""
    (node_id,) = (
        task.entity.name
        for task in world.tasks()
        if task.worker and task.worker.node.entity.preemptionWarningTime is not None
    )
    return node_id


def test_the_replacement_is_there_before_the_loss(world):
    before = world.listed()
    warn(world, min(before))
    lost = warned(world)

    world.tick()

    assert len(world.listed()) == 3
    raylet = world.ray.raylets[lost]
    assert raylet.draining_until is not None
    assert 100 < (raylet.draining_until - world.lab.clock.now()).total_seconds() <= NOTICE_SECONDS
    world.ticks(10)
    assert lost in world.listed()
    assert sum(raylet.draining_until is None for raylet in world.ray.workers) == 2

    world.ticks(30)

    assert lost not in world.listed()
    assert len(world.ray.workers) == len(world.instances) == len(world.listed()) == 2


def test_one_notice_is_one_replacement_however_often_it_is_seen(world, caplog):
    warn(world, min(world.listed()))

    world.ticks(15)

    assert caplog.text.count("is launched in place of") == 1
    assert len(world.listed()) == 3
    assert len([task for task in world.tasks() if task is not world.head]) == 3


def test_an_idle_node_is_not_replaced(world):
    world.want_cpus(0)
    world.ticks(2)
    warn(world, min(world.listed()))

    world.ticks(15)

    assert len([task for task in world.tasks() if task is not world.head]) == 2


def test_where_ray_does_not_answer_the_node_is_replaced_all_the_same(world, monkeypatch):
    monkeypatch.setattr(world.provider.side.ray_nodes, "_request", lambda call: None)
    warn(world, min(world.listed()))

    world.tick()

    assert len(world.listed()) == 3


def test_a_replacement_that_cannot_be_made_at_once_is_made_at_the_next_tick(world):
    warn(world, min(world.listed()))

    with world.wire.losing(lambda call: call.startswith("POST") and call.endswith("/tasks")):
        assert world.tick()
    assert len(world.listed()) == 2
    world.tick()

    assert len(world.listed()) == 3


def test_the_most_workers_are_never_exceeded(make_world):
    world = make_world(max_workers=2, idle_timeout_minutes=5)
    world.grown_to(2)
    warn(world, min(world.listed()))
    lost = warned(world)

    world.ticks(40)

    assert lost not in world.listed()
    assert len(world.ray.workers) == len(world.instances) == 2
    made = [task for task in world.tasks() if task is not world.head]
    assert len(made) == 3, "none was made only to be ended by Ray for being one too many"


def test_a_notice_for_the_head_is_told_and_changes_nothing(world, caplog):
    before = world.listed()
    warn(world, world.head.entity.name, notice_seconds=1000)

    world.ticks(3)

    told = [record.getMessage() for record in caplog.records if "the head's own instance" in record.getMessage()]
    assert len(told) == 1
    assert world.listed() == before
    assert {raylet.draining_until for raylet in world.ray.alive} == {None}


def test_a_notice_about_another_clusters_node_is_none_of_ours(world):
    pools = world.lab.platform.store.open_pools.values()
    (pool,) = (pool.name for pool in pools if pool.name.startswith("ray-production-worker-"))
    world.fault("lost", pool=pool, notice=True, notice_seconds=1000, times=1)
    world.ours.accept()

    world.ticks(3)

    assert len(world.listed()) == 2
    assert len([task for task in world.tasks() if task is not world.head]) == 2


def test_an_autoscaler_that_restarts_after_a_notice_does_not_replace_the_node_again(world):
    warn(world, min(world.listed()))
    world.tick()

    world.restart_autoscaler()
    world.ticks(2)

    assert len(world.listed()) == 3
    assert len([task for task in world.tasks() if task is not world.head]) == 3
