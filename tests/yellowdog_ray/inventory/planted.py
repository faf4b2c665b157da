"""Causes to plant for `raydog why`, each with the code by which it is named and its remedy."""

from collections.abc import Callable
from typing import Any

from yellowdog_client.model import (
    ComputeSourceExhaustion,
    ComputeSourceExhaustionStatus,
    NamespacePolicy,
)

from tests.yellowdog_ray.inventory.conftest import CPU, CPUS, GPUS, Scene, publish
from yellowdog_local import faults
from yellowdog_ray.cluster.journal import Act, Decision
from yellowdog_ray.cluster.published import NodeTypeState
from yellowdog_ray.config.node_config import NodeConfig


def no_capacity(scene: Scene) -> None:
    with scene.fault(faults.Capacity(limit=1)):
        scene.workers()


def quota(scene: Scene) -> None:
    with scene.fault(faults.Capacity(limit=1, message="VcpuLimitExceeded: your quota of 8 vCPUs is used up")):
        scene.workers()


def source_error(scene: Scene) -> None:
    with scene.fault(faults.Capacity(limit=1, message="InvalidAMIID.NotFound: the image id does not exist")):
        scene.workers()


def allowance(scene: Scene) -> None:
    scene.workers()
    for requirement in scene.local.platform.store.requirements.values():
        for source in requirement.sources:
            source.entity.exhaustion = ComputeSourceExhaustion(status=ComputeSourceExhaustionStatus.LIMITED)


def namespace_limit(scene: Scene) -> None:
    with scene.client() as client:
        client.namespaces_client.save_namespace_policy(NamespacePolicy("demo", autoscalingMaxNodes=2))
    scene.workers(1)
    scene.workers(3)


def held(scene: Scene) -> None:
    work = scene.cluster.find()
    with scene.client() as client:
        client.work_client.hold_work_requirement_by_id(work.id)
    scene.workers(1)


def wrong_template(scene: Scene) -> None:
    scene.publish_failure(NodeConfig(compute_requirement_template="demo/nonsense"))


def throttled(scene: Scene) -> None:
    with scene.fault(faults.Status(call="POST /workerPools/provisioned/template", status=429, retry_after_seconds=60)):
        scene.publish_failure()


def refused(scene: Scene) -> None:
    provision = "POST /workerPools/provisioned/template"
    with scene.fault(faults.Status(call=provision, status=403, message="no permission to provision")):
        scene.publish_failure()


def pool_ended(scene: Scene) -> None:
    scene.workers(1)
    pool = scene.cluster.platform.find_pool(scene.cluster.groups[-1].worker_tag)
    scene.cluster.platform.terminate_compute(pool.compute_requirement_id)
    scene.cluster.platform.shut_down_pool(pool.id)
    scene.local.advance(60)
    scene.cluster.platform.submit_tasks(scene.cluster.groups[-1].id, [scene_spec(scene)])


def scene_spec(scene: Scene) -> Any:
    head = scene.cluster.snapshot.head
    spec = scene.cluster.platform.task_spec(head.task_id)
    environment = {
        **spec.environment,
        "RAY_CLOUD_INSTANCE_ID": "cpu-again",
        "RAYDOG_NODE_TAGS": '{"ray-user-node-type": "cpu", "ray-node-type": "worker"}',
    }
    return type(spec)("cpu-again", spec.script, environment, spec.timeout)


def never_registers(scene: Scene) -> None:
    with scene.fault(faults.NeverRegisters(pool="*-cpu-*")):
        scene.workers(2, 300)


def never_boots(scene: Scene) -> None:
    with scene.fault(faults.NeverBoots(pool="*-cpu-*")):
        scene.workers(2, 300)


def agents_lost(scene: Scene) -> None:
    scene.workers(2)
    for node in scene.local.platform.store.nodes.values():
        if "-cpu-" in node.pool.entity.name:
            scene.local.hosts.unplug(node.instance.id)
    scene.local.advance(40)


def head_ended(scene: Scene) -> None:
    scene.workers(1)
    scene.cluster.platform.abort_task(scene.cluster.snapshot.head.task_id)
    scene.local.advance(30)


def ended(scene: Scene) -> None:
    scene.cluster.platform.cancel_work_requirement(scene.cluster.find().id)
    scene.local.advance(60)


def ending(scene: Scene) -> None:
    with scene.fault(faults.AbortLost()):
        scene.cluster.platform.cancel_work_requirement(scene.cluster.find().id)
        scene.local.advance(5)


def lifetime(scene: Scene) -> None:
    scene.local.advance(24 * 3600 - 100)


def max_workers(scene: Scene) -> None:
    scene.workers(2)
    joined = {"cpu": NodeTypeState(max_workers=10, resources={"CPU": 4.0}, alive=2, idle=0)}
    publish(scene.cluster, max_workers=2, node_types=joined, demand=CPUS)


def type_limit(scene: Scene) -> None:
    scene.workers(2)
    small = {"cpu": NodeTypeState(max_workers=2, resources={"CPU": 4.0}, alive=2, idle=0)}
    publish(scene.cluster, max_workers=9, node_types=small, demand=CPUS)


def infeasible(scene: Scene) -> None:
    publish(scene.cluster, max_workers=9, node_types=CPU, demand=GPUS)


def restarts(scene: Scene) -> None:
    now = scene.cluster.platform.clock.now()
    decisions = [Decision(now, Act.RESTARTED, "", 0, (), "", f"{number}") for number in range(3)]
    publish(scene.cluster, *decisions, node_types=CPU, demand=[])


def nodes_end(scene: Scene) -> None:
    workers = scene.workers(1)
    scene.local.faults.add(faults.AbortLost(task="cpu-*"))
    scene.cluster.terminate(workers)
    scene.cluster.close()


def configured_pool_busy(scene: Scene) -> None:
    scene.own_workers(1)


def configured_pool_empty(scene: Scene) -> None:
    scene.own_workers(0)


def task_type(scene: Scene) -> None:
    scene.own_workers(2, supportedTaskTypes=["docker"])


def workers_end_early(scene: Scene) -> None:
    """Two workers in a row, of which the head has published nothing yet."""
    publish(scene.cluster, max_workers=9, node_types=CPU, demand=CPUS)
    with scene.fault(faults.TaskExits(task="cpu-*", exit_code=3)):
        scene.workers(1)
        scene.workers(1)


CAUSES: dict[Callable[[Scene], None], tuple[str, str]] = {
    no_capacity: ("no-capacity", "add sources"),
    quota: ("quota", "raise the quota"),
    source_error: ("source-error", "in the template"),
    allowance: ("allowance", "boost the allowance"),
    namespace_limit: ("namespace-limit", "raise autoscalingMaxNodes"),
    held: ("held", "resume it"),
    wrong_template: ("backed-off-NotFound", "correct compute_requirement_template"),
    throttled: ("backed-off-Throttled", "tries again by itself"),
    refused: ("backed-off-Refused", "correct what the message names"),
    pool_ended: ("pool-ended", "provisions another pool"),
    never_registers: ("machines-do-not-register", "agent"),
    never_boots: ("machines-start", "cloud's console"),
    agents_lost: ("agents-lost", "memory and network"),
    configured_pool_busy: ("configured-pool-busy", "add machines"),
    configured_pool_empty: ("configured-pool-empty", "start machines"),
    task_type: ("task-type", "configure the task type"),
    head_ended: ("head-ended", "raydog down demo"),
    ended: ("ended", "`ray up`"),
    ending: ("ending", "raydog down demo"),
    lifetime: ("lifetime", "cluster_lifetime_hours"),
    max_workers: ("max-workers", "raise the top-level max_workers"),
    type_limit: ("type-limit", "raise max_workers of the node type"),
    infeasible: ("infeasible", "add a node type"),
    workers_end_early: ("workers-end-early", "ray_worker_node_task_script"),
    restarts: ("head-restarts", "larger machine type"),
    nodes_end: ("nodes-end", "terminate the instances"),
}
"""Each planted cause, the code by which it is named, and words of its remedy."""
