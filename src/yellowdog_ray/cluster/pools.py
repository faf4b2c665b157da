"""Worker pools of a cluster: the specification of a provisioned one, the placement of tasks for a configured one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from yellowdog_ray.config.instance_tags import own_tags
from yellowdog_ray.config.limits import MAX_POOL_NODES, MIN_POOL_LIMIT, REPLACEMENT_FACTOR
from yellowdog_ray.config.models import Internal, ProviderSettings
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.idempotent import provision_pool
from yellowdog_ray.platform.limits import NODES, stated_limit
from yellowdog_ray.platform.provisioning import PoolSpec
from yellowdog_ray.platform.types import ComputeView, Placement, PoolView, TaskGroupView

ON_PREMISES = "ON_PREMISE"
"""The provider of platform nodes that no cloud provider provisioned (the SDK's `CloudProvider`)."""

IDLE_NODE_TIMEOUT = timedelta(seconds=20)
"""How long a platform node without a task is kept. Ray no longer needs it, so the timeout is short. A timeout above 0
lets a new platform node wait for its task, and ends one whose task was withdrawn while it booted."""


def pool_spec(
    cluster_name: str,
    settings: ProviderSettings,
    node_config: NodeConfig,
    name: str,
    nodes: int,
    max_nodes: int,
    *,
    boot_timeout: timedelta,
    idle_pool_timeout: timedelta,
) -> PoolSpec:
    """The specification of a pool for one task group, with every timeout that the platform enforces by itself.

    Its machines have RayDog's tags, those of the whole cluster, and those of the node type; the last has precedence.
    """
    tags = {**own_tags(cluster_name, settings.internal.user), **settings.instance_tags}
    return PoolSpec(
        name=name,
        tag=settings.cluster_tag,
        machine=node_config.with_tags(tags),
        nodes=nodes,
        max_nodes=max_nodes,
        boot_timeout=boot_timeout,
        idle_node_timeout=IDLE_NODE_TIMEOUT,
        idle_pool_timeout=idle_pool_timeout,
    )


def needed_nodes(internal: Internal, node_type: str) -> int:
    """The maximum number of platform nodes that a pool of this node type can use."""
    summary = internal.node_types.get(node_type)
    limits = [limit for limit in (internal.max_workers, summary.max_workers if summary else None) if limit is not None]
    if not limits:
        return MAX_POOL_NODES
    return min(MAX_POOL_NODES, max(MIN_POOL_LIMIT, REPLACEMENT_FACTOR * min(limits)))


def provision(platform: Platform, spec: PoolSpec, *, was_stated: bool = False) -> PoolView:
    """Provision a pool, or find the one that an earlier attempt has provisioned.

    A platform that allows fewer platform nodes says so in its refusal; then the pool gets as many as it allows.

    Args:
        platform: the platform.
        spec: the pool.
        was_stated: whether its `max_nodes` is a limit that the platform has stated.
    """
    try:
        return provision_pool(platform, spec)
    except PlatformError as error:
        limit = stated_limit(error, NODES, below=spec.max_nodes, was_stated=was_stated)
        if limit is None:
            raise
    return provision(platform, replace(spec, nodes=min(spec.nodes, limit), max_nodes=limit), was_stated=True)


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
