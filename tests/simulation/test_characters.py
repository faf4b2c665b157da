"""Characters above U+FFFF in the YAML, which Ray's autoscaler reads as two halves each."""

import pytest

from tests.simulation.config import ROOMY, node_type

SCRIPT = "#!/bin/bash\necho 🚀 is up\n"


def node_types(**node_config):
    config = {"compute_requirement_template": ROOMY, **node_config}
    return {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        "worker": node_type(max_workers=5, node_config=config),
    }


@pytest.mark.parametrize("key", ["userdata", "extra_userdata"])
def test_worker_is_launched_with_an_emoji_in_its_user_data(make_world, key):
    world = make_world(available_node_types=node_types(**{key: SCRIPT}))

    world.want_cpus(2)
    world.ticks(8)

    assert len(world.ray.workers) == 2
    texts = {task.worker.node.instance.source.entity.userData for task in world.tasks() if task is not world.head}
    assert all("echo 🚀 is up" in text for text in texts)


def test_worker_is_launched_with_an_emoji_in_its_task_script(make_world):
    script = f"{SCRIPT}ray start --address=$RAY_HEAD_NODE_PRIVATE_IP:6379 --block\n"
    world = make_world()
    world.up_again(provider={"ray_worker_node_task_script": script})
    world.restart_autoscaler()

    world.want_cpus(2)
    world.ticks(8)

    assert len(world.ray.workers) == 2
    workers = [task.entity for task in world.tasks() if task is not world.head]
    assert all("echo 🚀 is up" in worker.taskData for worker in workers)
