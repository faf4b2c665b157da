"""A platform inside a test, with each kind of hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from yellowdog_client.model import (
    ComputeRequirementTemplateUsage,
    NodeSearch,
    RunSpecification,
    Task,
    TaskGroup,
    TaskStatus,
    WorkRequirement,
)

from tests.yellowdog_local.host_support import KINDS, eventually
from yellowdog_local.hosts import leftovers
from yellowdog_local.hosts.base import HostTraits
from yellowdog_local.hosts.real import RealHosts
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import local_platform


def test_hosts_are_simulated_by_default() -> None:
    with local_platform() as local:
        assert isinstance(local.hosts, SimulatedHosts)
        assert local.hosts.traits == HostTraits(runs_tasks=False, own_network=True, own_processes=True, own_files=True)
        assert local.ssh_key is None


def test_unknown_kind_of_hosts_is_refused() -> None:
    with pytest.raises(ValueError, match="virtual"), local_platform("virtual"):
        pass


@pytest.mark.hosts
@pytest.mark.parametrize("kind", list(KINDS))
def test_task_runs_on_hosts_of_each_kind(kind: str, tmp_path: Path) -> None:
    with local_platform(kind, directory=tmp_path) as local, local.client() as client:
        assert isinstance(local.hosts, RealHosts)
        usage = ComputeRequirementTemplateUsage(
            templateId="demo/local", requirementNamespace="demo", requirementName="pool", targetInstanceCount=1
        )
        client.worker_pool_client.provision_worker_pool(usage)
        eventually(lambda: client.worker_pool_client.get_nodes(NodeSearch()).list_all())
        group = TaskGroup(name="group", runSpecification=RunSpecification(["bash"]))
        work = client.work_client.add_work_requirement(WorkRequirement("demo", "work", [group]))
        script = "cd $YD_AGENT_HOME && [ $HOME = $YD_AGENT_HOME ] && exit 7"
        [task] = client.work_client.add_tasks_to_task_group_by_id(
            work.taskGroups[0].id, [Task(name="task", taskType="bash", arguments=["-c", script])]
        )
        eventually(lambda: client.work_client.get_task_by_id(task.id).status is TaskStatus.FAILED)

        assert client.work_client.get_task_by_id(task.id).errors[0].processExitCode == 7
        assert local.ssh_key == tmp_path / "id_ed25519"
    assert leftovers.find(tmp_path) == []


@pytest.mark.hosts
def test_stepped_clock_is_refused_with_real_hosts() -> None:
    with pytest.raises(ValueError, match="RealClock"), local_platform("process", clock=SteppedClock()):
        pass
