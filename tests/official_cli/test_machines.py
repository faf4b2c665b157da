"""Worker pools and compute requirements with YellowDog's own command line."""

from __future__ import annotations

from typing import Any

from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    AddConfiguredWorkerPoolRequest,
    ComputeRequirementStatus,
    InstanceSearch,
    InstanceStatus,
    NodeStatus,
    ProvisionedWorkerPool,
    WorkerPoolStatus,
)

from tests.official_cli.command_line import OfficialCli
from tests.yellowdog_local.host_support import eventually
from yellowdog_local.testing import RunningPlatform

RUNNING, STOPPED, TERMINATED = InstanceStatus.RUNNING, InstanceStatus.STOPPED, InstanceStatus.TERMINATED
REQUIREMENT = {"requirementName": "own", "templateId": "demo/local", "targetInstanceCount": 2}


def pool_named(client: PlatformClient, name: str = "pool") -> Any:
    return client.worker_pool_client.get_worker_pool_by_name("demo", name)


def requirement(client: PlatformClient) -> Any:
    return client.compute_client.get_compute_requirement_by_name("demo", "own")


def instances(client: PlatformClient) -> list[InstanceStatus]:
    search = InstanceSearch(computeRequirementId=requirement(client).id)
    return [instance.status for instance in client.compute_client.get_instances(search).list_all()]


def test_pool_is_provisioned_resized_and_shut_down(
    local: RunningPlatform, client: PlatformClient, yd: OfficialCli
) -> None:
    made = yd.run("yd-provision", "--json").json
    pool = pool_named(client)
    assert (made["id"], pool.properties.workerTag, pool.properties.maxNodes) == (pool.id, "cpu", 3)
    eventually(lambda: pool_named(client).status is WorkerPoolStatus.IDLE)
    resized = yd.act("yd-resize", "pool", "2")
    assert (resized["outcome"], pool_named(client).expectedNodeCount) == ("resized", 2)
    eventually(lambda: not pool_named(client).awaitingNodes)
    followed = yd.run("yd-shutdown", "--yes", "--follow", "pool")
    assert "Event stream concluded" in followed.out
    assert pool_named(client).status is WorkerPoolStatus.TERMINATED
    assert {node.status for node in local.platform.store.nodes.values()} == {NodeStatus.TERMINATED}
    assert local.hosts.instance_ids == []  # type: ignore[attr-defined]


def test_pool_ends_with_its_compute_requirement(
    local: RunningPlatform, client: PlatformClient, yd: OfficialCli, pool: ProvisionedWorkerPool
) -> None:
    assert yd.act("yd-terminate", "pool")["outcome"] == "terminated"
    assert pool_named(client).status is WorkerPoolStatus.TERMINATED
    assert local.hosts.instance_ids == []  # type: ignore[attr-defined]


def test_nodes_get_more_workers_and_one_is_shut_down(
    local: RunningPlatform, client: PlatformClient, yd: OfficialCli, pool: ProvisionedWorkerPool
) -> None:
    more = {"type": "createWorkers", "nodeWorkers": {"targetType": "PER_NODE", "targetCount": 3}}
    command = {"type": "runCommand", "path": "/bin/true"}
    (node,) = local.platform.store.nodes.values()
    node_id = str(node.entity.id)
    target = ("--yes", "--worker-pool", "pool", "--node", node_id, "--actions")
    yd.run("yd-nodeaction", "--follow", *target, yd.file("more.json", {"actions": [more, command]}))
    assert len(client.worker_pool_client.get_node_by_id(node_id).workers) == 3
    total = yd.file("total.json", {"actions": [{"type": "createWorkers", "totalWorkers": 5}]})
    failed = yd.run("yd-nodeaction", *target, total, exit_code=1)
    assert "is not covered by the local platform" in " ".join(failed.err.split())
    assert yd.act("yd-shutdown", node_id)["outcome"] == "shut down"
    assert node.status is NodeStatus.TERMINATED


def test_requirement_is_instantiated_stopped_started_resized_and_terminated(
    local: RunningPlatform, client: PlatformClient, yd: OfficialCli
) -> None:
    yd.run("yd-instantiate", yd.file("own.json", REQUIREMENT))
    eventually(lambda: instances(client) == [RUNNING, RUNNING])
    assert yd.act("yd-compute-stop", "own")["outcome"] == "stopped"
    assert instances(client) == [STOPPED, STOPPED]
    assert yd.act("yd-compute-start", "own")["outcome"] == "started"
    eventually(lambda: instances(client) == [RUNNING, RUNNING])
    yd.run("yd-resize", "--yes", "--compute-requirement", "--wait", "--timeout", "30", "own", "1")
    assert instances(client) == [RUNNING, TERMINATED]
    followed = yd.run("yd-terminate", "--yes", "--follow", "own")
    assert "Event stream concluded" in followed.out
    assert requirement(client).status is ComputeRequirementStatus.TERMINATED
    assert instances(client) == [TERMINATED, TERMINATED]


def test_single_instances_are_restarted_deprovisioned_and_replaced(
    local: RunningPlatform, client: PlatformClient, yd: OfficialCli
) -> None:
    yd.run("yd-instantiate", yd.file("own.json", REQUIREMENT))
    eventually(lambda: instances(client) == [RUNNING, RUNNING])
    first, second = (
        f"{requirement(client).id}.{instance_id}"
        for instance_id in local.hosts.instance_ids  # type: ignore[attr-defined]
    )
    assert yd.act("yd-compute-restart", first)["outcome"] == "restarted"
    assert instances(client)[0] in (InstanceStatus.PENDING, RUNNING)
    eventually(lambda: instances(client) == [RUNNING, RUNNING])
    assert yd.act("yd-compute-deprovision", first)["outcome"] == "deprovisioned"
    assert (requirement(client).targetInstanceCount, instances(client)) == (1, [TERMINATED, RUNNING])
    assert yd.act("yd-terminate", second)["outcome"] == "terminated"
    assert instances(client) == [TERMINATED, TERMINATED]
    assert yd.act("yd-compute-reprovision", "own")["outcome"] == "reprovisioned"
    eventually(lambda: instances(client) == [TERMINATED, TERMINATED, RUNNING])


def test_token_of_a_configured_pool_is_renewed(client: PlatformClient, yd: OfficialCli) -> None:
    made = client.worker_pool_client.add_configured_worker_pool(AddConfiguredWorkerPoolRequest("box", "demo"))
    renewed = yd.act("yd-token", "--regenerate", "--ttl-hours", "2", "box")
    token = client.worker_pool_client.get_configured_worker_pool_token(made.workerPool)
    assert token.secret == renewed["token"] != made.token.secret
    assert token.expiryTime is not None
