"""Faults of machines on namespace hosts, and the end of all hosts by a reset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ApiKey,
    ComputeRequirementTemplateUsage,
    InstanceSearch,
    NodeSearch,
    RunSpecification,
    ServicesSchema,
    Task,
    TaskGroup,
    WorkRequirement,
)

from tests.yellowdog_local.host_support import eventually
from tests.yellowdog_local.service.test_daemon import free_port
from yellowdog_local.hosts import leftovers
from yellowdog_local.service import daemon
from yellowdog_local.service.admin_client import RESET_TIMEOUT_SECONDS, AdminClient
from yellowdog_local.service.directory import PlatformDirectory

PATIENCE = 30.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[PlatformDirectory]:
    made = PlatformDirectory(tmp_path / "place")
    daemon.start(made, free_port())
    yield made
    daemon.stop(made, lambda _text: None)
    assert leftovers.find(made.path) == []


def nodes(client: PlatformClient) -> list[str]:
    found = client.worker_pool_client.get_nodes(NodeSearch()).list_all()
    return [node.status.value for node in found]


def instances(client: PlatformClient) -> list[str]:
    found = client.compute_client.get_instances(InstanceSearch()).list_all()
    return [instance.status.value for instance in found]


@pytest.mark.hosts
@pytest.mark.timeout(120)
def test_faults_apply_to_real_hosts_and_a_reset_terminates_them(place: PlatformDirectory) -> None:
    state, key = place.running(), place.api_key()
    assert state is not None
    admin = AdminClient(state.url, key)
    admin.post("/admin/faults", {"kind": "never-boots", "nth": 2})
    admin.post("/admin/faults", {"kind": "never-registers", "nth": 2})  # the third: one that never boots is none
    admin.post("/admin/faults", {"kind": "task-exits", "exit_code": 7, "times": 1})
    with PlatformClient.create(ServicesSchema(defaultUrl=state.url), ApiKey(key.key_id, key.secret)) as client:
        assert isinstance(client, PlatformClient)
        usage = ComputeRequirementTemplateUsage(
            templateId="demo/local", requirementNamespace="demo", requirementName="pool", targetInstanceCount=3
        )
        client.worker_pool_client.provision_worker_pool(usage)
        eventually(lambda: sorted(instances(client)) == ["PENDING", "RUNNING", "RUNNING"], PATIENCE)
        eventually(lambda: nodes(client) == ["RUNNING"], PATIENCE)

        group = TaskGroup(name="group", runSpecification=RunSpecification(["bash"]), finishIfAllTasksFinished=False)
        work = client.work_client.add_work_requirement(WorkRequirement("demo", "work", [group]))
        tasks = [Task(name=name, taskType="bash", arguments=["-c", "sleep 100"]) for name in ("exits", "stays")]
        made = client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, tasks)

        def status(number: int) -> str:
            return str(client.work_client.get_task_by_id(made[number].id).status.value)

        eventually(lambda: (status(0), status(1)) == ("FAILED", "EXECUTING"), PATIENCE)
        assert client.work_client.get_task_by_id(made[0].id).errors[0].processExitCode == 7

        admin.post("/admin/faults", {"kind": "lost"})
        eventually(lambda: nodes(client) == ["TERMINATED"], PATIENCE)
        eventually(lambda: status(1) == "FAILED", PATIENCE)
        disks = place.path / leftovers.DISKS
        eventually(lambda: [disk.name for disk in disks.iterdir()] == ["i-sim-3"], PATIENCE)
        assert leftovers.processes(place.path)  # the host that never registered still runs

        admin.post("/admin/reset", timeout_seconds=RESET_TIMEOUT_SECONDS)
        assert leftovers.processes(place.path) == []
        assert (nodes(client), instances(client)) == ([], [])
        client.worker_pool_client.provision_worker_pool(usage)
        eventually(lambda: nodes(client) == ["RUNNING"] * 3, PATIENCE)
