from __future__ import annotations

from dataclasses import dataclass

import pytest
from yellowdog_client.model import NodeStatus, WorkerStatus

from tests.simulation.lab import Lab
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import GroupRecord, PoolRecord, TaskRecord, WorkerRecord
from yellowdog_local.state.slots import Slots


@dataclass
class Scene:
    """A pool with one worker, a waiting task, and claims that no scheduler makes."""

    slots: Slots
    pool: PoolRecord
    worker: WorkerRecord
    group: GroupRecord
    task: TaskRecord

    def claim(self) -> None:
        self.slots.claim(self.worker, self.group, self.task)


@pytest.fixture
def scene(lab: Lab, kernel: Kernel) -> Scene:
    group = lab.group(workerTags=["none"])  # the scheduler allocates none of its tasks
    (task,) = lab.tasks(group, "a")
    pool = lab.booted()
    (worker,) = lab.node(pool).workers
    return Scene(Slots(kernel), pool, worker, group, task)


def test_claim_and_release_keep_the_counts_of_the_pool(scene: Scene) -> None:
    scene.claim()
    assert (scene.pool.free, scene.pool.claimed, scene.group.claimed) == ({}, 1, {scene.worker})
    assert scene.worker.entity.taskGroupId == scene.group.id
    assert scene.slots.touched_pools == {scene.pool.id: scene.pool}
    for _ in range(2):
        scene.slots.release(scene.worker)
    assert (scene.pool.claimed, scene.group.claimed, scene.worker.task) == (0, set(), None)
    assert scene.pool.free == {scene.worker.id: scene.worker}
    assert +scene.pool.worker_counts == {WorkerStatus.STOPPED: 1}


@pytest.mark.parametrize("obstacle", ["late", "draining", "warned"])
def test_worker_of_a_node_without_new_tasks_is_not_offered(scene: Scene, obstacle: str) -> None:
    scene.claim()
    node = scene.worker.node
    if obstacle == "late":
        node.status = NodeStatus.LATE
    else:
        setattr(node, obstacle, True)
    scene.slots.release(scene.worker)
    assert scene.pool.free == {}


def test_late_worker_recovers_to_its_claim_or_to_the_offer(scene: Scene) -> None:
    scene.slots.withdraw(scene.worker, "late")
    assert (scene.pool.free, scene.worker.status) == ({}, WorkerStatus.LATE)
    scene.slots.recover(scene.worker)
    assert scene.pool.free == {scene.worker.id: scene.worker}
    scene.claim()
    scene.slots.withdraw(scene.worker, "late")
    scene.slots.recover(scene.worker)
    assert (scene.worker.status, scene.pool.free) == (WorkerStatus.RUNNING, {})


def test_lost_worker_does_not_recover(scene: Scene) -> None:
    scene.slots.withdraw(scene.worker, "lose")
    scene.slots.recover(scene.worker)
    assert (scene.worker.status, scene.pool.free) == (WorkerStatus.LOST, {})
