from __future__ import annotations

import pytest
from yellowdog_client.model import InstanceStatus, NodeStatus, TaskStatus

from tests.simulation.lab import Lab
from yellowdog_local.hosts.simulated import SimulatedHosts


def test_hosts_need_a_platform() -> None:
    with pytest.raises(RuntimeError, match="belong to a LocalPlatform"):
        SimulatedHosts().lose("i-1")


@pytest.mark.parametrize(
    ("environment", "exit_code", "seconds"),
    [
        ({"SIM_TASK_SECONDS": "0"}, 0, 0),
        ({"SIM_TASK_SECONDS": "2", "SIM_TASK_EXIT_CODE": "3"}, 3, 2),
    ],
)
def test_task_ends_as_its_environment_says(lab: Lab, environment: dict[str, str], exit_code: int, seconds: int) -> None:
    lab.booted()
    (task,) = lab.tasks(lab.group(), "a", environment=environment)
    lab.advance(seconds)
    assert task.status is (TaskStatus.FAILED if exit_code else TaskStatus.COMPLETED)
    assert [error.processExitCode for error in task.entity.errors or ()] == ([exit_code] if exit_code else [])


def test_abort_replaces_the_end_of_a_task(lab: Lab) -> None:
    lab.booted()
    environment = {"SIM_TASK_SECONDS": "5", "SIM_ABORT_SECONDS": "9"}
    (task,) = lab.tasks(lab.group(), "a", environment=environment)
    lab.do(lambda p: p.tasks.cancel(task, abort=True))
    lab.advance(8)
    assert task.status is TaskStatus.EXECUTING
    lab.advance(1)
    assert task.status is TaskStatus.ABORTED


def test_unplugged_host_is_silent_but_its_instance_runs(lab: Lab) -> None:
    node = lab.node(lab.booted())
    lab.hosts.unplug(node.instance.id)
    lab.hosts.unplug("i-none")
    lab.advance(lab.platform.settings.heartbeat_lost_seconds - 1)
    assert (node.status, node.instance.status) == (NodeStatus.LATE, InstanceStatus.RUNNING)


def test_host_unplugged_while_booting_never_registers(lab: Lab) -> None:
    pool = lab.pool()
    (instance,) = pool.requirement.instances.values()
    lab.hosts.unplug(instance.id)
    lab.advance(10)
    assert (instance.status, pool.nodes) == (InstanceStatus.RUNNING, {})


def test_destroyed_host_neither_boots_nor_ends_its_tasks(lab: Lab) -> None:
    node = lab.node(lab.booted())
    task = lab.ending(lab.group(), "a", 1)
    lab.hosts.destroy(node.instance.id)
    lab.hosts.destroy(node.instance.id)
    lab.advance(2)
    assert (task.status, lab.hosts.instance_ids) == (TaskStatus.FAILED, [])
