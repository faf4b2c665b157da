"""Another `ray up` on a busy cluster: its changes take effect, and no work is lost."""

import pytest

from tests.own_machines import configured_pool
from tests.simulation.config import ROOMY, node_type
from tests.simulation.raylets import Demand
from tests.simulation.test_preemption import warn

HEAD = node_type(resources={"CPU": 0}, max_workers=0)


def types(**others):
    return {"head": HEAD, "worker": node_type(max_workers=3), **others}


@pytest.fixture
def world(make_world):
    """Three busy workers, and a demand for more workers than the limit."""
    world = make_world(available_node_types=types(), idle_timeout_minutes=5)
    world.want_cpus(5)
    world.ticks(4)
    assert len(world.ray.workers) == 3
    return world


def test_higher_max_workers_launches_more_workers(world):
    before = world.listed()

    world.up_again(available_node_types=types(worker=node_type(max_workers=10)))
    world.ticks(4)

    assert before < world.listed()
    assert len(world.ray.workers) == 5
    assert world.ray.pending == []


def test_new_node_type_is_launched(world):
    before = world.listed()
    world.want(Demand({"CPU": 1}, 3), Demand({"GPU": 1}, 2))
    world.ticks(2)
    assert world.listed() == before

    world.up_again(available_node_types=types(gpu=node_type(resources={"CPU": 1, "GPU": 1}, max_workers=2)))
    world.ticks(4)

    assert before < world.listed()
    assert len(world.listed("gpu")) == 2
    assert world.ray.pending == []


def test_new_node_type_may_use_a_configured_pool(world, lab):
    configured_pool(lab)
    own = node_type(resources={"own": 1}, max_workers=2, node_config={"worker_pool": "demo/own"})

    world.up_again(available_node_types=types(own=own))
    world.want(Demand({"CPU": 1}, 3), Demand({"own": 1}, 2))
    world.ticks(4)

    assert len(world.listed("own")) == 2
    assert world.ray.pending == []


def test_unused_node_type_may_be_removed(make_world):
    world = make_world(available_node_types=types(gpu=node_type(resources={"GPU": 1}, max_workers=2)))
    world.want_cpus(2)
    world.ticks(4)

    world.up_again(available_node_types=types())
    world.ticks(3)

    assert len(world.ray.workers) == 2


def test_new_node_config_and_script_apply_to_new_workers_only(world):
    before = world.listed()

    changed = node_type(max_workers=5, node_config={"compute_requirement_template": ROOMY, "userdata": "echo new"})
    world.up_again(
        available_node_types=types(worker=changed), provider={"ray_worker_node_task_script": "ray start # new"}
    )
    world.ticks(4)

    new = world.listed() - before
    assert len(new) == 2
    assert before < world.listed()
    for node_id in world.listed():
        task = world.task(node_id)
        is_new = node_id in new
        assert task.entity.taskData.endswith("\nray start # new") is is_new
        assert ("echo new" in (task.worker.node.instance.source.entity.userData or "")) is is_new


def test_restarted_autoscaler_uses_the_new_node_config(world):
    world.up_again(available_node_types=types(worker=node_type(max_workers=5)))
    world.restart_autoscaler()
    world.ticks(4)

    assert len(world.ray.workers) == 5
    assert len({world.task(node_id).worker.node.pool.id for node_id in world.listed()}) == 1


@pytest.mark.parametrize("kind", ["v1"], indirect=True, ids=["v1"])  # v2 does not count a drained node
def test_new_limit_applies_to_replacements(world):
    world.want_cpus(3)
    world.tick()
    warn(world, min(world.listed()))
    world.ticks(2)
    assert len(world.listed()) == 3

    world.up_again(available_node_types=types(worker=node_type(max_workers=4)))
    world.tick()

    assert len(world.listed()) == 4


def test_busy_workers_above_a_lower_limit_are_terminated_by_ray(world):
    before, config = world.listed(), world.config

    world.up_again(available_node_types=types(worker=node_type(max_workers=1)))
    world.config = config  # the limit of the checks: v2 drains nodes before it terminates them
    world.ticks(4)

    assert len(world.listed()) == 1
    assert world.listed() < before


def test_invalid_config_file_changes_nothing(world, home, caplog):
    (home / "ray_bootstrap_config.yaml").write_text('{"cluster_name": ')

    world.ticks(3)

    assert len(world.ray.workers) == 3
    assert caplog.text.count("the previous settings stay in force") == 1
