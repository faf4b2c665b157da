"""A cluster's use, as Ray's control store shows it: drivers, actors, waiting demand, busy nodes. Decides nothing.

Ray's own *idle termination* for Kubernetes (autoscaler/v2/instance_manager/cloud_providers/kuberay of Ray 2.60) reads
drivers only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yellowdog_ray.monitor.ray_state import TIMEOUT_SECONDS, read_state

if TYPE_CHECKING:
    from ray.core.generated.autoscaler_pb2 import ClusterResourceState, NodeState

INTERNAL_JOBS = "_ray_internal_"
"""The beginning of the namespaces of Ray's own drivers, such as the dashboard's, which never end
(`RAY_INTERNAL_NAMESPACE_PREFIX` of Ray 2.60)."""

INTERNAL_ACTORS = frozenset(
    {
        "_dataset_stats_actor",
        "_dataset_stats_summary_actor",
        "_train_state_actor",
        "ActorLocationTracker",
        "AutoscalingCoordinator",
        "AutoscalingRequester",
        "DataUsageCollectionActor",
        "llm_batch_telemetry",
        "llm_serve_telemetry",
    }
)
"""Namespaces of detached actors that Ray's libraries leave for statistics, and that outlive their drivers (data, train
and llm of Ray 2.60)."""

_LIVING = ("DEPENDENCIES_UNREADY", "PENDING_CREATION", "ALIVE", "RESTARTING")  # all of ActorState but DEAD
_OBJECTS = "object_store_memory"


@dataclass(frozen=True)
class RayUse:
    """The use of a cluster at one moment.

    Attributes:
        what: what uses it, for messages; empty if nothing does.
        drivers: ids of all drivers so far. A new one shows use since the last reading, even if it has ended.
    """

    what: str
    drivers: frozenset[bytes]


def read_use(client: Any) -> RayUse:
    """Read whether a cluster is in use: up to six requests, fewer while it is.

    Args:
        client: Ray's `GcsClient`.

    Raises:
        ray.exceptions.RayError: no answer to one of them.
    """
    jobs = client.get_all_job_info(
        skip_submission_job_info_field=True, skip_is_running_tasks_field=True, timeout=TIMEOUT_SECONDS
    )
    users = {id_: job for id_, job in jobs.items() if not job.config.ray_namespace.startswith(INTERNAL_JOBS)}
    drivers = frozenset(job.job_id for job in users.values())
    alive = [job for job in users.values() if not job.is_dead]
    if alive:
        return RayUse(f"{_number(len(alive), 'driver')} ({_shown(job.entrypoint for job in alive)})", drivers)
    state = read_state(client)
    if state.pending_resource_requests or state.pending_gang_resource_requests:
        return RayUse("demand that waits for resources", drivers)
    actors = _living_actors(client)
    users_actors = [actor for actor in actors if actor.ray_namespace not in INTERNAL_ACTORS]
    if users_actors:
        names = _shown(actor.name or actor.class_name for actor in users_actors)
        return RayUse(f"{_number(len(users_actors), 'actor')} ({names})", drivers)
    return RayUse(_busy_nodes(state, {actor.address.node_id for actor in actors}), drivers)


def _living_actors(client: Any) -> list[Any]:
    """The actors that are not dead. The client has only asynchronous calls for them."""

    async def read() -> Sequence[dict[Any, Any]]:
        calls = [client.async_get_all_actor_info(actor_state_name=name, timeout=TIMEOUT_SECONDS) for name in _LIVING]
        answers: Sequence[dict[Any, Any]] = await asyncio.gather(*calls)
        return answers

    return [actor for answer in asyncio.run(read()) for actor in answer.values()]


def _busy_nodes(state: ClusterResourceState, hosts: Collection[bytes]) -> str:
    """The nodes that have work; on a node with an actor of Ray's own, work that takes resources.

    A node that has just joined is idle for 0 s too, without anything on it. So nodes that come and go are no use.

    Args:
        state: the nodes.
        hosts: Ray's ids of the nodes that have such an actor.
    """
    from ray.core.generated.autoscaler_pb2 import NodeStatus

    alive = [node for node in state.node_states if node.status != NodeStatus.DEAD]
    busy = [
        node
        for node in alive
        if node.idle_duration_ms == 0 and (_is_taken(node) or (node.node_activity and node.node_id not in hosts))
    ]
    return f"work on {_number(len(busy), 'node')} ({_shown(node.instance_id for node in busy)})" if busy else ""


def _is_taken(node: NodeState) -> bool:
    """Whether work takes some of a node's resources; objects alone do not count."""
    free, total = dict(node.available_resources), dict(node.total_resources)
    return any(free.get(name, 0) < amount for name, amount in total.items() if name != _OBJECTS)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _shown(names: Iterable[str]) -> str:
    """The first names, each short and on one line."""
    first = [" ".join(name.split())[:60] for name in names]
    return ", ".join(first[:3]) + (", ..." if len(first) > 3 else "")
