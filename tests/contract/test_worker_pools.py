"""Worker pools over the SDK: resizing, namespace policies, configured pools, node actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
import requests
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    AddConfiguredWorkerPoolRequest,
    CloudProvider,
    ConfiguredWorkerPool,
    ConfiguredWorkerPoolProperties,
    NamespacePolicy,
    NamespacePolicySearch,
    NodeActionQueueStatus,
    NodeCreateWorkersAction,
    NodeRunCommandAction,
    NodeSearch,
    NodeStatus,
    NodeWorkerTarget,
    NodeWriteFileAction,
    ProvisionedWorkerPool,
    Task,
    TaskStatus,
    WorkerPoolSearch,
    WorkerPoolStatus,
)
from yellowdog_client.model.exceptions import InvalidRequestException

from tests.contract.test_sdk import START, add, provision, submit
from yellowdog_local.testing import RunningPlatform


def nodes(client: PlatformClient, pool_id: str) -> list[Any]:
    search = NodeSearch(workerPoolId=pool_id, statuses=[NodeStatus.RUNNING])
    return client.worker_pool_client.get_nodes(search).list_all()


def test_resize_adds_nodes_or_removes_idle_ones(local: RunningPlatform, client: PlatformClient) -> None:
    pool = provision(client)
    local.advance(2)
    resized = client.worker_pool_client.resize_worker_pool(pool, 3)
    assert isinstance(resized, ProvisionedWorkerPool)
    assert (resized.expectedNodeCount, resized.awaitingNodes) == (3, True)
    with pytest.raises(InvalidRequestException, match="awaiting nodes"):
        client.worker_pool_client.resize_worker_pool(pool, 2)
    local.advance(2)
    (task,) = add(client, submit(client), "a")
    working = client.work_client.get_task_by_id(task.id).nodeId
    client.worker_pool_client.resize_worker_pool(pool, 1)
    assert [node.id for node in nodes(client, pool.id)] == [working]
    assert client.work_client.get_task_by_id(task.id).status is TaskStatus.EXECUTING


def test_resize_is_refused_beyond_bounds_and_after_the_end(local: RunningPlatform, client: PlatformClient) -> None:
    pool = provision(client)
    local.advance(2)
    with pytest.raises(InvalidRequestException, match="between minNodes"):
        client.worker_pool_client.resize_worker_pool(pool, 100_001)
    client.worker_pool_client.shutdown_worker_pool(pool)
    with pytest.raises(InvalidRequestException, match="cannot be resized: it is TERMINATED"):
        client.worker_pool_client.resize_worker_pool(pool, 1)


def test_namespace_policy_is_stored_listed_and_deleted(client: PlatformClient) -> None:
    namespaces = client.namespaces_client
    namespaces.save_namespace_policy(NamespacePolicy("demo", autoscalingMaxNodes=4))
    namespaces.save_namespace_policy(NamespacePolicy("demo", autoscalingMaxNodes=5))
    assert namespaces.get_namespace_policy("demo").autoscalingMaxNodes == 5
    (found,) = namespaces.get_namespace_policies(NamespacePolicySearch(namespaces=["demo"])).list_all()
    assert (found.namespace, found.autoscalingMaxNodes) == ("demo", 5)
    namespaces.delete_namespace_policy("demo")
    with pytest.raises(requests.HTTPError, match="NotFoundException"):
        namespaces.get_namespace_policy("demo")


def test_namespace_policy_limits_scaling_up(local: RunningPlatform, client: PlatformClient) -> None:
    client.namespaces_client.save_namespace_policy(NamespacePolicy("demo", autoscalingMaxNodes=3))
    pool = provision(client)
    add(client, submit(client), *[f"t{n}" for n in range(8)])
    local.advance(60)
    assert len(nodes(client, pool.id)) == 3
    headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
    answer = httpx.get(f"{local.url}/workerPools/namespaces/demo/autoscalingCapacity", headers=headers).json()
    assert answer == {"namespace": "demo", "capacityLimited": True, "remainingCapacity": 0}
    client.namespaces_client.delete_namespace_policy("demo")
    local.advance(60)
    assert len(nodes(client, pool.id)) == 8


class Machine:
    """An agent on a machine of the user's, played by the test."""

    def __init__(self, local: RunningPlatform, secret: str, instance_id: str = "box-1", **fields: Any) -> None:
        self.http = httpx.Client(base_url=local.url, headers={"Authorization": f"yd-agent {secret}"})
        self.fields = {
            "instanceId": instance_id,
            "hostname": "box",
            "privateIpAddress": "192.168.0.5",
            "publicIpAddress": "192.168.0.5",
            "vcpus": 8.0,
            "ram": 32.0,
            "supportedTaskTypes": ["bash"],
            "agentVersion": "1",
            **fields,
        }

    def register(self) -> httpx.Response:
        with self.http as http:
            return http.post("/agent/register", json=self.fields)


def configured(client: PlatformClient, **fields: Any) -> Any:
    properties = ConfiguredWorkerPoolProperties(workerTag="cpu", targetNodeCount=1)
    request = AddConfiguredWorkerPoolRequest("own", "demo", properties=properties, **fields)
    return client.worker_pool_client.add_configured_worker_pool(request)


def test_machine_joins_a_configured_pool_with_its_token(local: RunningPlatform, client: PlatformClient) -> None:
    made = configured(client)
    pool = made.workerPool
    assert isinstance(pool, ConfiguredWorkerPool)
    assert (pool.status, pool.expectedNodeCount, pool.awaitingNodes) == (WorkerPoolStatus.PENDING, 1, True)
    assert (pool.properties.workerTag, made.token.expiryTime) == ("cpu", None)
    workers = {"targetType": "PER_NODE", "targetCount": 2}
    machine = Machine(local, made.token.secret, region="attic", instanceType="tower", createWorkers=workers)
    answer = machine.register()
    assert answer.status_code == 200
    node = client.worker_pool_client.get_node_by_id(answer.json()["nodeId"])
    assert (node.details.instanceId, node.details.provider) == ("box-1", CloudProvider.ON_PREMISE)
    assert (node.details.region, node.details.instanceType, len(node.workers)) == ("attic", "tower", 2)
    pool = client.worker_pool_client.get_worker_pool_by_id(pool.id)
    assert (pool.status, pool.awaitingNodes) == (WorkerPoolStatus.IDLE, False)
    (task,) = add(client, submit(client), "a")
    assert client.work_client.get_task_by_id(task.id).nodeId == node.id


def test_shutdown_of_a_configured_pool_terminates_its_nodes(local: RunningPlatform, client: PlatformClient) -> None:
    made = configured(client)
    node_id = Machine(local, made.token.secret).register().json()["nodeId"]
    client.worker_pool_client.shutdown_worker_pool(made.workerPool)
    assert client.worker_pool_client.get_node_by_id(node_id).status is NodeStatus.TERMINATED
    assert client.worker_pool_client.get_worker_pool(made.workerPool).status is WorkerPoolStatus.TERMINATED
    assert Machine(local, made.token.secret).register().status_code == 410


def test_machine_rejoins_its_pool_after_its_node_was_shut_down(local: RunningPlatform, client: PlatformClient) -> None:
    made = configured(client)
    first = Machine(local, made.token.secret).register().json()["nodeId"]
    assert Machine(local, made.token.secret).register().json()["nodeId"] == first
    client.worker_pool_client.shutdown_node_by_id(first)
    second = Machine(local, made.token.secret).register().json()["nodeId"]
    assert second != first
    assert [node.id for node in nodes(client, made.workerPool.id)] == [second]


def test_token_expires_is_refreshed_and_regenerated(local: RunningPlatform, client: PlatformClient) -> None:
    made = configured(client, tokenTtl=timedelta(minutes=1))
    pool, pools = made.workerPool, client.worker_pool_client
    assert made.token.expiryTime == START + timedelta(minutes=1)
    local.advance(60)
    assert Machine(local, made.token.secret).register().status_code == 401
    refreshed = pools.refresh_configured_worker_pool_token(pool, timedelta(minutes=5))
    assert (refreshed.secret, refreshed.expiryTime) == (made.token.secret, START + timedelta(minutes=6))
    assert Machine(local, made.token.secret).register().status_code == 200
    regenerated = pools.regenerate_configured_worker_pool_token(pool)
    assert regenerated.secret != made.token.secret
    assert pools.get_configured_worker_pool_token(pool).secret == regenerated.secret
    assert Machine(local, made.token.secret, "box-2").register().status_code == 401
    assert Machine(local, regenerated.secret, "box-2").register().status_code == 200


def test_pools_are_searched_by_their_type(client: PlatformClient) -> None:
    provision(client)
    configured(client)
    search = WorkerPoolSearch(type="co.yellowdog.platform.model.ConfiguredWorkerPool")
    assert [pool.name for pool in client.worker_pool_client.get_worker_pools(search).list_all()] == ["own"]
    with pytest.raises(InvalidRequestException, match="cannot be resized"):
        client.worker_pool_client.resize_worker_pool_by_id(configured_id(client), 2)


def configured_id(client: PlatformClient) -> str:
    return str(client.worker_pool_client.get_worker_pool_by_name("demo", "own").id)


def test_node_action_changes_the_number_of_workers(local: RunningPlatform, client: PlatformClient) -> None:
    pool = provision(client)
    local.advance(2)
    (node,) = nodes(client, pool.id)
    client.worker_pool_client.add_node_actions_for_node(node, NodeCreateWorkersAction(NodeWorkerTarget.per_node(3)))
    work = submit(client)
    add(client, work, "a", "b", "c")
    group = client.work_client.get_work_requirement_by_id(work.id).taskGroups[0]
    assert group.taskSummary.statusCounts == {TaskStatus.EXECUTING: 3}
    client.work_client.cancel_work_requirement_by_id(work.id, abort=True)
    snapshot = client.worker_pool_client.get_node_actions(node)
    assert (snapshot.status, snapshot.waiting, snapshot.failed) == (NodeActionQueueStatus.EMPTY, [], None)


def test_node_actions_run_one_after_another(local: RunningPlatform, client: PlatformClient) -> None:
    pools = client.worker_pool_client
    pool = provision(client)
    local.advance(2)
    (node,) = nodes(client, pool.id)
    slow = NodeRunCommandAction("/bin/slow", environment={"SIM_ACTION_SECONDS": "5"})
    write, more = NodeWriteFileAction("notes.txt", "text"), NodeCreateWorkersAction(NodeWorkerTarget.per_node(3))
    pools.add_node_actions(pool, write, slow, more)
    snapshot = pools.get_node_actions(node)
    assert snapshot.status is NodeActionQueueStatus.EXECUTING
    assert [action.path for action in snapshot.executing] == ["/bin/slow"]
    assert snapshot.waiting == [more]
    assert pools.get_node_by_id(node.id).actionQueueStatus is NodeActionQueueStatus.EXECUTING
    summary = pools.get_worker_pool_by_id(pool.id).nodeSummary
    assert summary.actionQueueStatuses == {NodeActionQueueStatus.EXECUTING: 1}
    assert len(pools.get_node_by_id(node.id).workers) == 1
    local.advance(5)
    assert pools.get_node_actions(node).status is NodeActionQueueStatus.EMPTY
    assert len(pools.get_node_by_id(node.id).workers) == 3
    summary = pools.get_worker_pool_by_id(pool.id).nodeSummary
    assert summary.actionQueueStatuses == {NodeActionQueueStatus.EMPTY: 1}


def test_failed_node_action_stops_only_its_nodes_queue(local: RunningPlatform, client: PlatformClient) -> None:
    pools = client.worker_pool_client
    pool = provision(client, count=2)
    local.advance(2)
    bad, good = nodes(client, pool.id)
    failing = NodeRunCommandAction("/bin/false", environment={"SIM_ACTION_EXIT_CODE": "1"})
    pools.add_node_actions_for_node(bad, failing)
    after = NodeWriteFileAction("after.txt")
    pools.add_node_actions(pool, after)
    snapshot = pools.get_node_actions(bad)
    assert (snapshot.status, snapshot.failed.path) == (NodeActionQueueStatus.FAILED, "/bin/false")
    assert (snapshot.waiting, snapshot.executing) == ([after], [])
    assert pools.get_node_actions(good).status is NodeActionQueueStatus.EMPTY
    pools.shutdown_node_by_id(bad.id)
    summary = pools.get_worker_pool_by_id(pool.id).nodeSummary
    assert summary.actionQueueStatuses == {NodeActionQueueStatus.EMPTY: 1}


def test_node_actions_are_refused_as_a_whole_when_one_is_invalid(
    local: RunningPlatform, client: PlatformClient
) -> None:
    pools = client.worker_pool_client
    pool = provision(client)
    local.advance(2)
    (node,) = nodes(client, pool.id)
    workers = NodeCreateWorkersAction(NodeWorkerTarget.per_node(3))
    with pytest.raises(InvalidRequestException, match="path of a WRITE_FILE action must be set"):
        pools.add_node_actions(pool, workers, NodeWriteFileAction(""))
    with pytest.raises(requests.HTTPError, match="node types is not covered"):
        pools.add_node_actions(pool, workers, NodeRunCommandAction("/bin/true", nodeTypes=["a"]))
    assert len(pools.get_node_by_id(node.id).workers) == 1


def test_unnamed_task_is_accepted(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    (task,) = client.work_client.add_tasks_to_task_group_by_id(work.taskGroups[0].id, [Task(taskType="bash")])
    assert task.name is None
