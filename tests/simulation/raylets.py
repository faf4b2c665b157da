"""Ray's side of a simulated cluster: raylets that live and die with the platform's tasks, and the load on them.

A task that executes is a raylet that has joined, with the id, the resources and the labels that its environment
declares. `FakeGcs` reports them to the autoscaler in the messages of Ray's own control store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ray.core.generated.autoscaler_pb2 import (
    ClusterResourceConstraint,
    ClusterResourceState,
    DrainNodeReason,
    GangResourceRequest,
    GetClusterResourceStateReply,
    NodeState,
    NodeStatus,
    ResourceRequest,
    ResourceRequestByCount,
)
from ray.core.generated.common_pb2 import LabelSelector, LabelSelectorConstraint, LabelSelectorOperator
from ray.core.generated.gcs_pb2 import PlacementGroupLoad, PlacementGroupTableData, ResourceUsageBatchData
from ray.core.generated.gcs_service_pb2 import GetAllResourceUsageReply
from ray.exceptions import RpcError

from tests.simulation.users import Users

if TYPE_CHECKING:  # benchmarks run this where it is not installed
    from yellowdog_local.state.records import TaskRecord

HEAD_RESOURCE = "node:__internal_head__"
"""The resource by which Ray's autoscaler identifies the head (autoscaler/v2/utils.py of Ray 2.60)."""


@dataclass(frozen=True)
class Demand:
    """A number of tasks or actors of one shape; `labels` are those that a node must have."""

    resources: dict[str, float]
    count: int = 1
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Raylet:
    """One Ray node."""

    ray_id: bytes
    node_id: str
    node_type: str
    ip: str
    resources: dict[str, float]
    labels: dict[str, str]
    is_head: bool
    idle_since: datetime
    alive: bool = True
    ended: bool = False
    drained: bool = False
    draining_until: datetime | None = None
    available: dict[str, float] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether it has no load."""
        return self.available == self.resources

    def take(self, demand: Demand, most: int) -> int:
        """Take on as much of a demand as fits. Returns how much."""
        if self.is_head or any(self.labels.get(key) != value for key, value in demand.labels.items()):
            return 0
        fits = min(int(self.available.get(name, 0) // amount) for name, amount in demand.resources.items())
        taken = min(fits, most)
        for name, amount in demand.resources.items():
            if taken:
                self.available[name] -= amount * taken
        return taken


class RayCluster:
    """The raylets of one cluster, and the demand of its users.

    Args:
        tasks: returns the cluster's tasks on the platform, ended ones too.
        now: returns the time.
        clock_error: how far the clock of the head is ahead.

    Attributes:
        demands: the demand.
        pending: the part of it that no living raylet has room for.
        silent: node ids of raylets that Ray's control store does not report.
        barred: node ids of nodes whose raylet never joins although their task executes.
        groups: placement groups that wait for nodes.
        reported_groups: the placement groups that v1 receives as waiting; they may be out of date.
        clock_error: how far the clock of the head is ahead, by which its control store reads deadlines.
        users: who uses the cluster beside the load.
    """

    def __init__(
        self,
        tasks: Callable[[], Iterable[TaskRecord]],
        now: Callable[[], datetime],
        clock_error: timedelta = timedelta(0),
    ) -> None:
        self._tasks = tasks
        self._now = now
        self.clock_error = clock_error
        self.raylets: dict[str, Raylet] = {}
        self.demands: list[Demand] = []
        self.pending: list[Demand] = []
        self.silent: set[str] = set()
        self.barred: set[str] = set()
        self.groups: list[PlacementGroupTableData] = []
        self.reported_groups: list[PlacementGroupTableData] = []
        self.users = Users(lambda: now().timestamp())

    def observe(self) -> None:
        """Let raylets join and die with their tasks, and place the load on those that live."""
        executing = {}
        for task in self._tasks():
            if task.worker is not None and task.entity.startedTime is not None and not task.status.finished:
                executing[task.entity.name] = task
        for node_id, raylet in self.raylets.items():
            if raylet.draining_until is not None and self._now() >= raylet.draining_until:
                raylet.ended = True
            raylet.alive = node_id in executing and not raylet.ended
        for node_id, task in executing.items():
            if node_id not in self.raylets and node_id not in self.barred:
                self.raylets[node_id] = _joined(task, self._now())
        self._place()

    @property
    def alive(self) -> list[Raylet]:
        """The raylets that live, in the order in which they joined."""
        return [raylet for raylet in self.raylets.values() if raylet.alive]

    @property
    def workers(self) -> list[Raylet]:
        """The living raylets other than the head's."""
        return [raylet for raylet in self.alive if not raylet.is_head]

    @property
    def unjoined(self) -> int:
        """How many nodes have been launched, have not ended, and have not joined."""
        return sum(not task.status.finished and task.entity.name not in self.raylets for task in self._tasks())

    def drain(self, ray_id: bytes) -> bool:
        """End a raylet without load, as Ray's control store does on request of the autoscaler."""
        for raylet in self.alive:
            if raylet.ray_id == ray_id:
                raylet.ended = raylet.drained = True
                raylet.alive = False
                return True
        return False

    def drain_until(self, ray_id: bytes, deadline: datetime) -> bool:
        """Let a raylet end its work by a deadline of the head's clock, as Ray's store does before a preemption."""
        for raylet in self.alive:
            if raylet.ray_id == ray_id:
                raylet.draining_until = deadline - self.clock_error
                return True
        return False

    def crash(self, node_id: str) -> None:
        """Let a raylet die while its task continues."""
        self.raylets[node_id].ended = True

    def _place(self) -> None:
        for raylet in self.alive:
            raylet.available = dict(raylet.resources)
        self.pending = []
        for demand in self.demands:
            left = demand.count
            for raylet in self.alive:
                left -= raylet.take(demand, left)
            if left:
                self.pending.append(Demand(demand.resources, left, demand.labels))
        for raylet in self.alive:
            if not raylet.idle:
                raylet.idle_since = self._now()

    def idle_seconds(self, raylet: Raylet) -> float:
        """For how long a raylet has had no load."""
        return (self._now() - raylet.idle_since).total_seconds()


def _default_labels(environment: Mapping[str, str]) -> dict[str, str]:
    """What `ray start` takes from its environment, as `ResourceAndLabelSpec` of Ray 2.60 does."""
    names = {
        "RAY_NODE_MARKET_TYPE": "ray.io/market-type",
        "RAY_NODE_REGION": "ray.io/availability-region",
        "RAY_NODE_ZONE": "ray.io/availability-zone",
    }
    return {label: environment[name] for name, label in names.items() if environment.get(name)}


def _joined(task: TaskRecord, now: datetime) -> Raylet:
    environment = task.entity.environment or {}
    node_id = environment["RAY_CLOUD_INSTANCE_ID"]
    assert task.worker is not None
    is_head = environment.get("RAYDOG_ON_HEAD") == "1"
    resources = {name: float(amount) for name, amount in json.loads(environment["RAY_OVERRIDE_RESOURCES"]).items()}
    if is_head:
        resources[HEAD_RESOURCE] = 1.0
    return Raylet(
        ray_id=hashlib.sha256(node_id.encode()).digest()[:28],
        node_id=node_id,
        node_type=environment["RAY_NODE_TYPE_NAME"],
        ip=str(task.worker.node.entity.details.privateIpAddress),
        resources=resources,
        labels={**_default_labels(environment), **json.loads(environment["RAY_OVERRIDE_LABELS"])},
        is_head=is_head,
        idle_since=now,
    )


class FakeGcs:
    """Ray's control store, as far as its autoscalers use it; serves a `RayCluster`.

    Attributes:
        is_down: whether its process is dead.
        held: how many CPUs users have requested, whether or not the process still has the request.
        mistakes: nodes with requested CPUs that the autoscaler has drained as idle, although no others had them.
    """

    address = "127.0.0.1:6379"

    def __init__(self, ray: RayCluster) -> None:
        self._ray = ray
        self._version = 0
        self._requested: list[ResourceRequestByCount] | None = None
        self.is_down = False
        self.held = 0
        self.mistakes: list[str] = []

    def hold(self, cpus: int) -> None:
        """Let users request so many nodes of one CPU, as `ray.autoscaler.sdk.request_resources` does in v2."""
        self.held = cpus
        bundles = [{"CPU": 1.0}] if cpus else []
        self.request_cluster_resource_constraint(bundles, [{} for _ in bundles], [cpus for _ in bundles])

    @property
    def has_lost_request(self) -> bool:
        """Whether this process lacks what users have requested."""
        return bool(self.held and not self._requested)

    def start(self) -> None:
        """Begin another life of the process. The request of users is lost; everything else is in its storage."""
        self.is_down = False
        self._version = 0
        self._requested = None

    def _serve(self) -> None:
        if self.is_down:
            raise RpcError("failed to connect to all addresses", rpc_code=14)

    def request_cluster_resource_constraint(
        self, bundles: list[dict[str, float]], selectors: list[dict[str, str]], counts: list[int], **_: Any
    ) -> None:
        self._serve()
        assert not any(selectors)
        shapes = zip(bundles, counts, strict=True)
        self._requested = [_request(Demand(dict(resources), count)) for resources, count in shapes]

    def get_cluster_resource_state(self, **_: Any) -> bytes:
        self._serve()
        self._version += 1
        state = ClusterResourceState(
            cluster_resource_state_version=self._version,
            node_states=[
                self._node_state(raylet)
                for raylet in self._ray.raylets.values()
                if raylet.node_id not in self._ray.silent
            ],
            pending_resource_requests=[_request(demand) for demand in self._ray.pending],
            pending_gang_resource_requests=[
                GangResourceRequest(details=f"{group.placement_group_id.hex()}:STRICT_SPREAD|PENDING")
                for group in self._ray.groups
            ],
            cluster_resource_constraints=[ClusterResourceConstraint(resource_requests=self._requested)]
            if self._requested is not None
            else [],
        )
        return GetClusterResourceStateReply(cluster_resource_state=state).SerializeToString()

    def get_all_job_info(self, **_: Any) -> dict[bytes, Any]:
        return self._ray.users.jobs()

    async def async_get_all_actor_info(self, actor_state_name: str, **_: Any) -> dict[bytes, Any]:
        return self._ray.users.actors(actor_state_name)

    def get_all_resource_usage(self, **_: Any) -> GetAllResourceUsageReply:
        self._serve()
        groups = PlacementGroupLoad(placement_group_data=self._ray.reported_groups)
        return GetAllResourceUsageReply(resource_usage_data=ResourceUsageBatchData(placement_group_load=groups))

    def _node_state(self, raylet: Raylet) -> NodeState:
        alive = NodeStatus.IDLE if raylet.idle else NodeStatus.RUNNING
        if raylet.draining_until is not None:
            alive = NodeStatus.DRAINING
        return NodeState(
            node_id=raylet.ray_id,
            instance_id=raylet.node_id,
            ray_node_type_name=raylet.node_type,
            total_resources=raylet.resources,
            available_resources=raylet.available,
            status=alive if raylet.alive else NodeStatus.DEAD,
            idle_duration_ms=int(self._ray.idle_seconds(raylet) * 1000),
            node_ip_address=raylet.ip,
            labels=raylet.labels,
        )

    def drain_node(
        self, node_id: str, reason: int, reason_message: str, deadline_timestamp_ms: int
    ) -> tuple[bool, str]:
        self._serve()
        ray_id = bytes.fromhex(node_id)
        if reason == DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION:
            deadline = datetime.fromtimestamp(deadline_timestamp_ms / 1000, timezone.utc)
            return self._ray.drain_until(ray_id, deadline), reason_message
        if reason == DrainNodeReason.DRAIN_NODE_REASON_IDLE_TERMINATION:
            with_cpus = [raylet for raylet in self._ray.workers if "CPU" in raylet.resources]
            # Ray serves a request by nodes that have not joined, too, and may drain an idle one in their place.
            nodes = len(with_cpus) + self._ray.unjoined
            if nodes <= self.held and any(raylet.ray_id == ray_id for raylet in with_cpus):
                self.mistakes.append(node_id)
        return self._ray.drain(ray_id), reason_message

    def drain_nodes(self, node_ids: Iterable[bytes], **_: Any) -> list[bytes]:
        self._serve()
        return [node_id for node_id in node_ids if self._ray.drain(node_id)]

    def get_all_node_info(self, **_: Any) -> dict[bytes, SimpleNamespace]:
        self._serve()
        return {
            raylet.ray_id: SimpleNamespace(
                instance_id=raylet.node_id,
                node_id=raylet.ray_id,
                node_manager_address=raylet.ip,
                state=0 if raylet.alive else 1,
                death_info=SimpleNamespace(reason=_death_reason(raylet)),
            )
            for raylet in self._ray.raylets.values()
            if raylet.node_id not in self._ray.silent
        }


def _death_reason(raylet: Raylet) -> int:
    """One of NodeDeathInfo.Reason of Ray's common.proto."""
    if raylet.alive:
        return 0
    return 3 if raylet.draining_until is not None else 4 if raylet.drained else 2


def _request(demand: Demand) -> ResourceRequestByCount:
    constraints = [
        LabelSelectorConstraint(label_key=key, operator=LabelSelectorOperator.LABEL_OPERATOR_IN, label_values=[value])
        for key, value in demand.labels.items()
    ]
    selectors = [LabelSelector(label_constraints=constraints)] if constraints else []
    request = ResourceRequest(resources_bundle=demand.resources, label_selectors=selectors)
    return ResourceRequestByCount(request=request, count=demand.count)
