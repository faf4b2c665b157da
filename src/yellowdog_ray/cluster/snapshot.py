"""An immutable snapshot of a cluster's nodes, composed of tasks and platform nodes. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from ray.autoscaler.tags import NODE_KIND_HEAD, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

from yellowdog_ray.platform.types import PlatformNodeView, TaskView


class Phase(Enum):
    """The phase of a node. Ended nodes are not listed, so there is no phase for them."""

    PENDING = "pending"
    RUNNING = "running"


@dataclass(frozen=True)
class ClusterNode:
    """One node of a Ray cluster.

    Attributes:
        id: the node id: the name of its task.
        task_id: the YellowDog id of its task.
        group_id: the YellowDog id of the task group, which is its node type's.
        tags: the tags of the launch request; later changes are in the tag store.
        private_ip: the address that Ray nodes use among themselves, or None while unknown.
        public_ip: the address outside the platform's network; None while unknown, or without one.
        platform_node_id: the platform node that its task was allocated to, or None while it waits for one.
    """

    id: str
    task_id: str
    group_id: str
    phase: Phase
    tags: Mapping[str, str] = field(default_factory=dict)
    private_ip: str | None = None
    public_ip: str | None = None
    platform_node_id: str | None = None

    @property
    def is_head(self) -> bool:
        """Whether this is the cluster's head."""
        return bool(self.tags.get(TAG_RAY_NODE_KIND) == NODE_KIND_HEAD)

    @property
    def node_type(self) -> str:
        """This node's key in `available_node_types`."""
        return self.tags.get(TAG_RAY_USER_NODE_TYPE, "")


@dataclass(frozen=True)
class Snapshot:
    """All nodes of a cluster at one moment, by node id."""

    nodes: Mapping[str, ClusterNode] = field(default_factory=dict)

    @cached_property
    def head(self) -> ClusterNode | None:
        """The head, or None."""
        return next((node for node in self.nodes.values() if node.is_head), None)


def build_snapshot(
    tasks: Iterable[TaskView],
    platform_nodes: Mapping[str, PlatformNodeView],
    hidden: frozenset[str] = frozenset(),
) -> Snapshot:
    """Join tasks with the platform nodes that they run on.

    Args:
        tasks: every live task of the work requirement.
        platform_nodes: the platform nodes that were read, by their id.
        hidden: ids of the nodes that are being terminated; they are omitted although the platform may still show them.
    """
    nodes = {}
    for task in tasks:
        if task.finished or task.abort_requested or task.name in hidden or not task.tags:
            continue
        nodes[task.name] = _node(task, platform_nodes.get(task.platform_node_id or ""))
    return Snapshot(nodes)


def _node(task: TaskView, platform_node: PlatformNodeView | None) -> ClusterNode:
    return ClusterNode(
        id=task.name,
        task_id=task.id,
        group_id=task.group_id,
        phase=Phase.RUNNING if task.executing else Phase.PENDING,
        tags=task.tags,
        private_ip=platform_node.private_ip if platform_node else None,
        public_ip=platform_node.public_ip if platform_node else None,
        platform_node_id=task.platform_node_id,
    )
