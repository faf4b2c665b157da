from dataclasses import replace

import pytest

from yellowdog_ray.cluster.snapshot import Phase, build_snapshot
from yellowdog_ray.platform.types import PlatformNodeView, TaskView

TASK = TaskView(
    id="ydid:task:1",
    name="worker-1",
    group_id="g",
    executing=True,
    finished=False,
    status="EXECUTING",
    abort_requested=False,
    platform_node_id="n",
    tags={"ray-node-type": "worker", "ray-user-node-type": "cpu"},
)
PLATFORM_NODE = PlatformNodeView("n", "pool", "instance", "10.0.0.2", "1.2.3.4")


def test_executing_task_is_running_node_with_addresses():
    node = build_snapshot([TASK], {"n": PLATFORM_NODE}).nodes["worker-1"]

    assert (node.phase, node.private_ip, node.public_ip) == (Phase.RUNNING, "10.0.0.2", "1.2.3.4")
    assert (node.task_id, node.node_type, node.is_head) == ("ydid:task:1", "cpu", False)
    assert (node.group_id, node.platform_node_id) == ("g", "n")


def test_waiting_task_is_pending_node_without_address():
    waiting = replace(TASK, executing=False, status="READY", platform_node_id=None)

    node = build_snapshot([waiting], {}).nodes["worker-1"]

    assert (node.phase, node.private_ip) == (Phase.PENDING, None)


@pytest.mark.parametrize(
    "task",
    [
        replace(TASK, finished=True, executing=False),
        replace(TASK, abort_requested=True),
        replace(TASK, tags={}),
    ],
    ids=["ended", "being aborted", "not ours"],
)
def test_snapshot_omits_tasks_that_are_no_nodes(task):
    other = replace(TASK, name="worker-2")

    assert build_snapshot([task, other], {"n": PLATFORM_NODE}).nodes.keys() == {"worker-2"}


def test_snapshot_omits_nodes_that_are_being_terminated():
    assert build_snapshot([TASK], {"n": PLATFORM_NODE}, frozenset({"worker-1"})).nodes == {}


def test_head_is_the_node_of_kind_head():
    head = replace(TASK, name="head-1", tags={"ray-node-type": "head", "ray-user-node-type": "cpu"})

    snapshot = build_snapshot([TASK, head], {})

    assert snapshot.head is not None
    assert snapshot.head.id == "head-1"
