"""Each kind of fault over HTTP: its effect on a client, and no trace after the clean-up.

The clean-up is done while the fault is still in force, except where no call could be made then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ComputeRequirementSearch,
    ComputeRequirementStatus,
    ComputeSourceStatus,
    InstanceSearch,
    InstanceStatus,
    NodeSearch,
    NodeStatus,
    TaskSearch,
    TaskStatus,
    WorkerPoolSearch,
    WorkRequirementSearch,
)
from yellowdog_client.model.exceptions import InternalServerException

from tests.contract.test_sdk import add, provision, submit
from tests.simulation.lab import Lab
from tests.simulation.platform_invariants import Witness
from yellowdog_local import faults
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import RunningPlatform

BOOT_SECONDS = 2
NODE_BOOT_TIMEOUT_SECONDS = 300
ADD_WORK = "POST /work/requirements"
Scenario = Callable[[RunningPlatform, PlatformClient], None]
SCENARIOS: dict[str, Scenario] = {}


def shows(kind: str) -> Callable[[Scenario], Scenario]:
    def keep(scenario: Scenario) -> Scenario:
        SCENARIOS[kind] = scenario
        return scenario

    return keep


def work_names(client: PlatformClient) -> list[str]:
    return [str(w.name) for w in client.work_client.get_work_requirements(WorkRequirementSearch()).list_all()]


def instances(client: PlatformClient) -> list[InstanceStatus]:
    return [i.status for i in client.compute_client.get_instances(InstanceSearch()).list_all()]


def nodes(client: PlatformClient) -> list[NodeStatus]:
    return [n.status for n in client.worker_pool_client.get_nodes(NodeSearch()).list_all()]


@shows("status")
def a_call_is_answered_instead_of_served(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.Status(call=ADD_WORK, status=503))
    with pytest.raises(requests.RequestException):
        submit(client)
    assert {call.status for call in local.calls.matching(ADD_WORK)} == {503}
    assert work_names(client) == []


@shows("apply-then-fail")
def a_call_is_served_and_said_to_have_failed(local: RunningPlatform, client: PlatformClient) -> None:
    rule = faults.ApplyThenFail(call=ADD_WORK, status=400, error_type="InternalServerException", times=1)
    local.faults.add(rule)
    with pytest.raises(InternalServerException):
        submit(client)
    assert work_names(client) == ["work"]


@shows("hang")
def a_call_is_not_answered(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.Hang(call=ADD_WORK, applied=True))
    with local.client(read_timeout_seconds=0.3) as impatient, pytest.raises(requests.RequestException):
        submit(impatient)
    assert work_names(client) == ["work"]


@shows("cut")
def an_answer_ends_in_the_middle(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.Cut(call="POST /workerPools/provisioned/template", times=1))
    with pytest.raises(requests.RequestException):
        provision(client)
    assert client.worker_pool_client.get_worker_pool_by_name("demo", "pool").expectedNodeCount == 1


@shows("delay")
def a_call_is_served_later(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.Delay(call=ADD_WORK, seconds=0.2))
    began = time.monotonic()
    submit(client)
    assert time.monotonic() - began >= 0.2


@shows("drip")
def an_answer_comes_byte_by_byte(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.Drip(call="GET /application", seconds=0.002))
    began = time.monotonic()
    assert client.application_client.get_application_details().accountName == "local"
    assert time.monotonic() - began >= 0.1


@shows("key-revoked")
def the_key_is_no_longer_valid(local: RunningPlatform, client: PlatformClient) -> None:
    submit(client)
    with local.faults.during(faults.KeyRevoked()), pytest.raises(requests.HTTPError, match="401") as refused:
        submit(client, "more")
    assert refused.value.response.status_code == 401
    assert work_names(client) == ["work"]


@shows("listing-lag")
def what_is_new_is_not_listed_yet(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    local.faults.add(faults.ListingLag(call="GET /work/tasks", seconds=30))
    (task,) = add(client, work, "new")
    assert client.work_client.find_tasks(TaskSearch(workRequirementId=work.id)) == []
    assert client.work_client.get_task_by_id(task.id).name == "new"
    local.advance(30)
    assert [t.id for t in client.work_client.find_tasks(TaskSearch(workRequirementId=work.id))] == [task.id]


@shows("never-boots")
def an_instance_stays_pending(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.NeverBoots(pool="pool"))
    provision(client)
    local.advance(NODE_BOOT_TIMEOUT_SECONDS - 1)
    assert (instances(client), nodes(client)) == ([InstanceStatus.PENDING], [])


@shows("never-registers")
def an_instance_runs_and_is_no_node(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.NeverRegisters(source="local"))
    provision(client)
    local.advance(NODE_BOOT_TIMEOUT_SECONDS - 1)
    assert (instances(client), nodes(client)) == ([InstanceStatus.RUNNING], [])


@shows("lost")
def a_node_is_warned_and_dies_with_its_task(local: RunningPlatform, client: PlatformClient) -> None:
    provision(client)
    local.advance(BOOT_SECONDS)
    (task,) = add(client, submit(client), "a")
    local.faults.add(faults.Lost(pool="pool", notice=True, notice_seconds=30, times=1))
    local.advance(1)
    (warned,) = client.worker_pool_client.get_nodes(NodeSearch()).list_all()
    assert warned.preemptionWarningTime is not None
    assert warned.status is NodeStatus.RUNNING
    local.advance(30)
    assert client.worker_pool_client.get_node_by_id(warned.id).status is NodeStatus.TERMINATED
    failed = client.work_client.get_task_by_id(task.id)
    assert (failed.status, failed.errors[0].errorType) == (TaskStatus.FAILED, "ALLOCATION_LOST")
    # The warning comes with the rule or a moment later, the loss so long after the warning.
    assert failed.errors[0].timestamp - warned.preemptionWarningTime == timedelta(seconds=30)


@shows("task-exits")
def a_task_ends_at_once(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.TaskExits(task="a", exit_code=7))
    provision(client)
    local.advance(BOOT_SECONDS)
    a, b = add(client, submit(client), "a", "b")
    failed = client.work_client.get_task_by_id(a.id)
    assert (failed.status, failed.errors[0].processExitCode) == (TaskStatus.FAILED, 7)
    assert client.work_client.get_task_by_id(b.id).status is TaskStatus.EXECUTING


@shows("abort-lost")
def an_abort_is_accepted_and_not_done(local: RunningPlatform, client: PlatformClient) -> None:
    provision(client)
    local.advance(BOOT_SECONDS)
    (task,) = add(client, submit(client), "a")
    local.faults.add(faults.AbortLost())
    assert client.work_client.cancel_task_by_id(task.id, abort=True).abortRequestedTime is not None
    local.advance(100)
    assert client.work_client.get_task_by_id(task.id).status is TaskStatus.EXECUTING


@shows("capacity")
def a_cloud_has_too_few_machines_and_says_so(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.Capacity(source="local", limit=1))
    pool = provision(client, count=3)
    local.advance(BOOT_SECONDS)
    assert instances(client) == [InstanceStatus.RUNNING]
    requirement = client.compute_client.get_compute_requirement_by_id(pool.computeRequirementId)
    (source,) = requirement.provisionStrategy.sources
    assert source.status is ComputeSourceStatus.ERRORED
    assert "(1 of 3 instances granted)" in source.statusMessage
    (summary,) = client.worker_pool_client.get_worker_pools(WorkerPoolSearch()).list_all()
    assert not summary.healthy


def clean_up(client: PlatformClient) -> None:
    """The clean-up by its creator."""
    for work in client.work_client.get_work_requirements(WorkRequirementSearch()).list_all():
        if not work.status.finished:
            client.work_client.cancel_work_requirement_by_id(work.id, abort=True)
    for pool in client.worker_pool_client.get_worker_pools(WorkerPoolSearch()).list_all():
        client.worker_pool_client.shutdown_worker_pool_by_id(pool.id)
    for requirement in client.compute_client.get_compute_requirements(ComputeRequirementSearch()).list_all():
        if requirement.status is not ComputeRequirementStatus.TERMINATED:
            client.compute_client.terminate_compute_requirement(requirement)


def test_every_kind_of_fault_has_a_case() -> None:
    assert set(SCENARIOS) == set(faults.rules.KINDS)


@pytest.mark.parametrize("kind", SCENARIOS)
def test_fault_takes_effect_and_leaves_no_trace_after_removal(
    local: RunningPlatform, client: PlatformClient, kind: str
) -> None:
    SCENARIOS[kind](local, client)
    clean_up(client)
    local.advance(1)
    assert isinstance(local.clock, SteppedClock)
    assert isinstance(local.hosts, SimulatedHosts)
    witness = Witness(Lab(local.platform, local.clock, local.hosts))
    witness.look()
    witness.nothing_is_alive()
    assert {status.alive for status in instances(client)} <= {False}
