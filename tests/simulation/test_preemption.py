"""Spot notices: Ray drains the node, and its replacement joins before the node is lost."""

import pytest

NOTICE_SECONDS = 120


@pytest.fixture
def world(make_world):
    """Two busy workers; their replacements do not time out as idle before they are needed."""
    world = make_world(idle_timeout_minutes=5)
    world.grow_to(2)
    return world


def warn(world, node_id, notice_seconds=NOTICE_SECONDS):
    """Send a spot notice for a node's instance."""
    pool = world.task(node_id).worker.node.pool.name
    world.fault("lost", pool=pool, notice=True, notice_seconds=notice_seconds, times=1)
    world.lab.advance(0.1)


def warned(world):
    """The id of the node that has had a notice."""
    (node_id,) = (
        task.entity.name
        for task in world.tasks()
        if task.worker and task.worker.node.entity.preemptionWarningTime is not None
    )
    return node_id


def test_replacement_joins_before_the_loss(world):
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


def test_spot_notice_launches_one_replacement_however_often_it_is_read(world, caplog):
    warn(world, min(world.listed()))

    world.ticks(15)

    assert caplog.text.count("is launched in place of") == 1
    assert len(world.listed()) == 3
    assert len([task for task in world.tasks() if task is not world.head]) == 3


def test_idle_node_is_not_replaced(world):
    world.want_cpus(0)
    world.ticks(2)
    warn(world, min(world.listed()))

    world.ticks(15)

    assert len([task for task in world.tasks() if task is not world.head]) == 2


def test_node_is_replaced_when_ray_does_not_answer(world, monkeypatch):
    monkeypatch.setattr(world.provider.side.ray_nodes, "_request", lambda call: None)
    warn(world, min(world.listed()))

    world.tick()

    assert len(world.listed()) == 3


def test_failed_replacement_is_retried_at_the_next_tick(world):
    warn(world, min(world.listed()))

    with world.wire.losing(lambda call: call.startswith("POST") and call.endswith("/tasks")):
        assert world.tick()
    assert len(world.listed()) == 2
    world.tick()

    assert len(world.listed()) == 3


def test_work_of_a_node_whose_pool_has_ended_moves_to_another_pool(world):
    (pool,) = (pool for pool in world.lab.platform.store.open_pools.values() if pool.name.startswith("ray-worker-"))
    with world.lab.client() as client:
        client.worker_pool_client.shutdown_worker_pool_by_id(pool.id)
    before = world.listed()
    warn(world, min(before))

    world.ticks(2)
    assert world.listed() == before, "a node was launched that no machine of its pool would run"
    world.ticks(45)

    assert len(world.ray.workers) == len(world.listed()) == 2


def test_replacements_never_exceed_max_workers(make_world):
    world = make_world(max_workers=2, idle_timeout_minutes=5)
    world.grow_to(2)
    warn(world, min(world.listed()))
    lost = warned(world)

    world.ticks(40)

    assert lost not in world.listed()
    assert len(world.ray.workers) == len(world.instances) == 2
    made = [task for task in world.tasks() if task is not world.head]
    assert len(made) == 3, "a replacement was launched only to be terminated by Ray as one too many"


def test_notice_for_the_head_is_logged_and_changes_nothing(world, caplog):
    before = world.listed()
    warn(world, world.head.entity.name, notice_seconds=1000)

    world.ticks(3)

    logged = [record.getMessage() for record in caplog.records if "the head's own instance" in record.getMessage()]
    assert len(logged) == 1
    assert world.listed() == before
    assert {raylet.draining_until for raylet in world.ray.alive} == {None}


def test_notice_for_another_cluster_changes_nothing(world):
    pools = world.lab.platform.store.open_pools.values()
    (pool,) = (pool.name for pool in pools if pool.name.startswith("ray-production-worker-"))
    world.fault("lost", pool=pool, notice=True, notice_seconds=1000, times=1)
    world.ours.accept()

    world.ticks(3)

    assert len(world.listed()) == 2
    assert len([task for task in world.tasks() if task is not world.head]) == 2


def test_restarted_autoscaler_does_not_replace_a_warned_node_again(world):
    warn(world, min(world.listed()))
    world.tick()

    world.restart_autoscaler()
    world.ticks(2)

    assert len(world.listed()) == 3
    assert len([task for task in world.tasks() if task is not world.head]) == 3
