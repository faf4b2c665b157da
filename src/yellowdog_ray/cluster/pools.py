"""Worker pools of a cluster: the specification of a provisioned one, the placement of tasks for a configured one."""

from __future__ import annotations

from datetime import timedelta

from yellowdog_ray.config.models import NodeConfig, ProviderSettings
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.provisioning import PoolSpec
from yellowdog_ray.platform.types import ComputeView, Placement, PoolView, TaskGroupView

ON_PREMISES = "ON_PREMISE"
"""The provider of platform nodes that no cloud provider provisioned (the SDK's `CloudProvider`)."""

IDLE_NODE_TIMEOUT = timedelta(seconds=20)
"""How long a platform node without a task is kept. Ray no longer needs it, so the timeout is short. A timeout above 0
lets a new platform node wait for its task, and ends one whose task was withdrawn while it booted."""

AFTER_LIFETIME = timedelta(minutes=5)
"""From the end of the cluster's lifetime until the platform terminates all instances of a pool. An orderly end is over
by then."""


def pool_spec(
    settings: ProviderSettings,
    node_config: NodeConfig,
    name: str,
    nodes: int,
    max_nodes: int,
    *,
    boot_timeout: timedelta,
    idle_pool_timeout: timedelta,
) -> PoolSpec:
    """The specification of a pool for one task group, with every timeout that the platform enforces by itself."""
    return PoolSpec(
        name=name,
        tag=settings.cluster_tag,
        machine=node_config,
        nodes=nodes,
        max_nodes=max_nodes,
        boot_timeout=boot_timeout,
        idle_node_timeout=IDLE_NODE_TIMEOUT,
        idle_pool_timeout=idle_pool_timeout,
    )


def placement(pool: PoolView) -> Placement:
    """The placement of a task group that this configured pool serves: there only, if YellowDog can select it."""
    if pool.worker_tag is not None:
        return Placement((pool.worker_tag,), (pool.namespace,))
    # Without the provider, pending tasks would make provisioned pools grow, those of this cluster included.
    return Placement((), (pool.namespace,), (ON_PREMISES,))


def supply(platform: Platform, group: TaskGroupView) -> tuple[PoolView, ComputeView] | None:
    """The provisioned pool of a task group and the instances behind it: two calls.

    None for a group that a configured pool serves, or whose pool the platform does not show.
    """
    pool = None if group.configured else platform.find_pool(group.worker_tag)
    if pool is None or pool.compute_requirement_id is None:
        return None
    return pool, platform.compute(pool.compute_requirement_id)
