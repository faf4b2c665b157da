from __future__ import annotations

from datetime import timedelta

import pytest
from yellowdog_client.model import NodeStatus, TaskStatus, WorkerStatus

from tests.simulation.lab import LabMaker


@pytest.mark.parametrize(("ttl", "retention", "removed_after"), [(5, None, 5), (5, 9, 5), (None, 9, 9), (9, 5, 5)])
def test_completed_task_is_removed_after_the_shorter_time(
    make_lab: LabMaker, ttl: int | None, retention: int | None, removed_after: int
) -> None:
    lab = make_lab(retention_seconds=retention, count_expired_tasks=False)
    lab.booted()
    group = lab.group()
    group.entity.completedTaskTtl = None if ttl is None else timedelta(seconds=ttl)
    task = lab.ending(group, "a", 1)
    lab.advance(1)
    lab.advance(removed_after - 0.5)
    assert lab.platform.store.tasks == {task.id: task}
    lab.advance(0.5)
    assert (lab.platform.store.tasks, group.tasks, list(group.having(TaskStatus.COMPLETED))) == ({}, {}, [])
    assert group.counts[TaskStatus.COMPLETED] == 0


def test_failed_task_is_kept_without_a_retention_time(make_lab: LabMaker) -> None:
    lab = make_lab(retention_seconds=None)
    lab.booted()
    group = lab.group()
    group.entity.completedTaskTtl = timedelta(seconds=1)
    task = lab.ending(group, "a", 1, exit_code=1)
    lab.advance(3600)
    assert (task.status, lab.platform.store.tasks) == (TaskStatus.FAILED, {task.id: task})


def test_node_and_instance_are_removed_from_counts(make_lab: LabMaker) -> None:
    lab = make_lab(retention_seconds=10)
    pool = lab.booted(2)
    node = lab.node(pool)
    source = node.instance.source
    lab.do(lambda p: p.nodes.shut_down(node))
    lab.advance(10)
    assert node.id not in pool.nodes
    assert node.instance.id not in lab.platform.store.instances
    assert (pool.node_counts[NodeStatus.DEREGISTERED], pool.node_counts[NodeStatus.TERMINATED]) == (0, 0)
    assert pool.worker_counts[WorkerStatus.SHUTDOWN] == 0
    assert (source.expired, sum(source.counts.values()), source.alive) == (1, 1, 1)


def test_name_of_a_removed_pool_refers_to_its_successor(make_lab: LabMaker) -> None:
    lab = make_lab(retention_seconds=10)
    store = lab.platform.store
    first = lab.booted()
    lab.do(lambda p: p.pools.shut_down(first))
    second = lab.booted()
    lab.advance(10)
    assert first.id not in store.pools
    assert store.pool_by_name("demo", "pool") is second
    lab.do(lambda p: p.pools.shut_down(second))
    lab.advance(10)
    assert store.pools_by_name == {}
