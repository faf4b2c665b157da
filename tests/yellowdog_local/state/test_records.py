from __future__ import annotations

from typing import Any

import pytest
from yellowdog_client.model import (
    InstanceStatus,
    NodeActionQueueStatus,
    NodeWriteFileAction,
    SimulatorComputeSource,
    TaskGroupStatus,
    TaskStatus,
)

from tests.simulation.lab import Lab
from yellowdog_local.state.records import ActionQueue, SourceRecord


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((), NodeActionQueueStatus.EMPTY),
        (("waiting",), NodeActionQueueStatus.WAITING),
        (("waiting", "executing"), NodeActionQueueStatus.EXECUTING),
        (("waiting", "executing", "failed"), NodeActionQueueStatus.FAILED),
    ],
)
def test_status_of_an_action_queue(fields: tuple[str, ...], status: NodeActionQueueStatus) -> None:
    action = NodeWriteFileAction("path")
    values: dict[str, Any] = {name: [action] if name == "waiting" else action for name in fields}
    assert ActionQueue(**values).status is status


def test_group_counts_and_indexes_its_tasks_by_status(lab: Lab) -> None:
    group = lab.group()
    first, second = lab.tasks(group, "a", "b")
    assert (list(group.ready), group.waiting, group.in_progress) == ([first.id, second.id], [first, second], [])
    lab.booted()
    assert (group.in_progress, group.waiting) == ([first], [second])
    lab.do(lambda p: p.tasks.cancel(second, abort=False))
    assert +group.counts == {TaskStatus.EXECUTING: 1, TaskStatus.CANCELLED: 1}
    assert list(group.having(TaskStatus.CANCELLED)) == [second]


def test_group_waits_for_all_its_dependencies(lab: Lab) -> None:
    names = ("a", "b", "c")
    first, second, last = lab.work("work", *map(lab.group_spec, names)).groups
    last.entity.dependentOn, last.entity.dependencies = "a", ["b"]
    assert last.dependencies == {"a", "b"}
    first.status = TaskGroupStatus.COMPLETED
    assert last.waiting_on_dependency
    second.status = TaskGroupStatus.COMPLETED
    assert not last.waiting_on_dependency


def test_pool_wants_instances_for_its_target_and_its_leaving_nodes(lab: Lab) -> None:
    pool = lab.booted(2)
    pool.target, pool.draining_nodes, pool.stranded, pool.unnoticed = 3, 1, 1, 1
    assert (pool.wanted_instances, pool.missing_instances, pool.pending_nodes) == (4, 2, 2)
    pool.target, pool.draining_nodes, pool.stranded, pool.unnoticed = 0, 0, 0, 3
    assert (pool.wanted_instances, pool.missing_instances, pool.pending_nodes) == (0, 0, 0)
    pool.target, pool.unnoticed, pool.configured = 9, 0, True
    assert pool.missing_instances == 0


def test_stopped_instance_is_alive_and_a_terminating_one_is_not() -> None:
    source = SourceRecord("s", SimulatorComputeSource("s"))
    for status in (InstanceStatus.PENDING, InstanceStatus.RUNNING, InstanceStatus.STOPPED, InstanceStatus.TERMINATING):
        source.counts[status] += 1
    assert source.alive == 3
