"""Failures of real hosts as clients see them: cut network, lost power, spot notice; several workers of a node."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ComputeRequirementTemplateUsage,
    Instance,
    InstanceSearch,
    InstanceStatus,
    Node,
    NodeSearch,
    NodeStatus,
    NodeWorkerTarget,
    ProvisionedWorkerPoolProperties,
    RunSpecification,
    Task,
    TaskGroup,
    TaskStatus,
    WorkRequirement,
    WorkRequirementStatus,
)

from tests.yellowdog_local.host_support import Lab, eventually, lab
from yellowdog_local import faults
from yellowdog_local.hosts import leftovers
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.service.server import ServerThread
from yellowdog_local.state.clock import RealClock
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import RunningPlatform

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(120)]
# An agent calls at least this often; what matters is that all of it passes within a test.
HEARTBEATS = {"heartbeat_period_seconds": 0.5, "heartbeat_late_seconds": 2.0, "heartbeat_lost_seconds": 12.0}
NOTICE_SECONDS = 2.0


@dataclass(frozen=True)
class Scene:
    """A platform with real hosts, and a client of it."""

    running: RunningPlatform
    client: PlatformClient
    lab: Lab

    def pool(self, workers: int = 1) -> str:
        usage = ComputeRequirementTemplateUsage(
            "demo/local", "pool", requirementNamespace="demo", targetInstanceCount=1
        )
        properties = ProvisionedWorkerPoolProperties(
            createNodeWorkers=NodeWorkerTarget.per_node(workers), minNodes=0, maxNodes=1
        )
        made = self.client.worker_pool_client.provision_worker_pool(usage, properties)
        eventually(lambda: self.node.status is NodeStatus.RUNNING)
        return str(made.id)

    def tasks(self, script: str, count: int = 1) -> list[str]:
        group = TaskGroup("group", RunSpecification(["bash"]))
        work = self.client.work_client.add_work_requirement(WorkRequirement("demo", "work", [group]))
        tasks = [Task(name=f"t{number}", taskType="bash", arguments=["-c", script]) for number in range(count)]
        made = self.client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, tasks)
        return [str(task.id) for task in made]

    @property
    def node(self) -> Node:
        found = self.client.worker_pool_client.get_nodes(NodeSearch()).list_all()
        return found[0] if found else Node()

    @property
    def instance(self) -> Instance:
        (found,) = self.client.compute_client.get_instances(InstanceSearch()).list_all()
        return found

    @property
    def host(self) -> str:
        return str(self.instance.id.instanceId)  # type: ignore[union-attr]

    def task(self, task_id: str) -> Task:
        return self.client.work_client.get_task_by_id(task_id)

    def executing(self, script: str) -> str:
        """A running task."""
        (task_id,) = self.tasks(script)
        eventually(lambda: self.task(task_id).status is TaskStatus.EXECUTING)
        return task_id

    def assert_lost(self, task_id: str) -> None:
        """The task, its instance, and every process of its host have ended, and so has the work."""
        eventually(lambda: self.instance.status is InstanceStatus.TERMINATED)
        eventually(lambda: self.task(task_id).status is TaskStatus.FAILED)
        assert [error.errorType for error in self.task(task_id).errors or []] == ["ALLOCATION_LOST"]
        work = self.client.work_client.get_work_requirement_by_name("demo", "work")
        assert work.status is WorkRequirementStatus.FAILED
        eventually(lambda: leftovers.processes(self.lab.data) == [])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with lab(tmp_path / "lab", with_agent=True) as made:
        platform = LocalPlatform(hosts=made.hosts, clock=RealClock(), settings=Settings(**HEARTBEATS))  # type: ignore[arg-type]
        with ServerThread(platform, made.hosts.gateway) as server:
            made.hosts.platform_url = server.url
            running = RunningPlatform(server.url, *platform.api_key, platform, platform.clock, made.hosts)
            with running.client() as client:
                yield Scene(running, client, made)
            platform.close()
    assert leftovers.find(made.data) == []


def test_host_and_task_survive_a_short_network_outage(scene: Scene) -> None:
    scene.pool()
    task_id = scene.executing("echo begun; sleep 6; echo ended")
    scene.lab.hosts.cut_network(scene.host)
    eventually(lambda: scene.node.status is NodeStatus.LATE)
    assert scene.task(task_id).status is TaskStatus.EXECUTING
    scene.lab.hosts.restore_network(scene.host)
    eventually(lambda: scene.node.status is NodeStatus.RUNNING)
    eventually(lambda: scene.task(task_id).status is TaskStatus.COMPLETED)
    assert scene.task(task_id).retryCount == 0
    (output,) = scene.lab.hosts.log_directory(scene.host).glob("tasks/*.txt")
    assert output.read_text() == "begun\nended\n"


def test_host_is_lost_and_terminated_after_a_long_network_outage(scene: Scene) -> None:
    scene.pool()
    task_id = scene.executing("sleep 1000")
    scene.lab.hosts.cut_network(scene.host)
    eventually(lambda: scene.node.status is NodeStatus.LATE)
    eventually(lambda: scene.node.status.gone)  # type: ignore[union-attr]
    scene.assert_lost(task_id)


def test_power_loss_ends_host_node_and_task(scene: Scene) -> None:
    scene.pool()
    task_id = scene.executing("sleep 1000")
    os.kill(scene.lab.first_process(scene.host), signal.SIGKILL)
    scene.assert_lost(task_id)
    assert scene.node.status is NodeStatus.TERMINATED
    assert scene.node.preemptionWarningTime is None


def test_spot_host_works_until_its_announced_end(scene: Scene) -> None:
    scene.pool()
    task_id = scene.executing("sleep 1000")
    scene.running.faults.add(faults.Lost(pool="pool", notice=True, notice_seconds=NOTICE_SECONDS, times=1))
    eventually(lambda: scene.node.preemptionWarningTime is not None)
    warned = scene.node.preemptionWarningTime
    assert (scene.node.status, scene.task(task_id).status) == (NodeStatus.RUNNING, TaskStatus.EXECUTING)
    scene.assert_lost(task_id)
    lost = (scene.task(task_id).errors or [])[0].timestamp
    assert warned is not None
    assert (lost - warned).total_seconds() >= NOTICE_SECONDS
    assert scene.node.status is NodeStatus.TERMINATED


def test_workers_of_one_node_run_concurrently_in_their_slots(scene: Scene) -> None:
    pool_id = scene.pool(workers=3)
    # Each waits for the other two: one after the other they would never end.
    script = 'touch "/tmp/slot-$YD_WORKER_SLOT"; until [ $(ls /tmp/slot-* | wc -l) = 3 ]; do sleep 0.1; done; '
    task_ids = scene.tasks(script + 'echo "$(hostname) $YD_WORKER_SLOT"', count=3)
    eventually(lambda: {scene.task(task_id).status for task_id in task_ids} == {TaskStatus.COMPLETED})
    assert len(scene.node.workers or []) == 3
    assert len({scene.task(task_id).workerId for task_id in task_ids}) == 3
    printed = [path.read_text().split() for path in scene.lab.hosts.log_directory(scene.host).glob("tasks/*.txt")]
    assert sorted(printed) == [[scene.node.details.hostname, slot] for slot in "123"]  # type: ignore[union-attr]
    scene.client.worker_pool_client.shutdown_worker_pool_by_id(pool_id)
    eventually(lambda: leftovers.processes(scene.lab.data) == [])
