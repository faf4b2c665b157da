"""Worker pools of a cluster: the specification of one that RayDog makes, and where tasks for one of the user's run."""

from __future__ import annotations

from datetime import timedelta

from yellowdog_ray.config.models import NodeConfig, ProviderSettings
from yellowdog_ray.platform.types import Placement, PoolSpec, PoolView

ON_PREMISES = "ON_PREMISE"
"""What platform nodes say of themselves that no cloud provider has provisioned (the SDK's `CloudProvider`)."""

IDLE_NODE_TIMEOUT = timedelta(seconds=20)
"""How long a platform node without a task is kept. Ray has decided that it is not needed, so not for long; but a time
above 0 also ends nodes that were booted for a task that has been withdrawn meanwhile, and lets a fresh one wait for its
task."""

AFTER_LIFETIME = timedelta(minutes=5)
"""How long after the cluster's lifetime the platform ends all instances of a pool: what can end in order has ended."""


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
    """A pool for one task group, with every dead man's handle that the platform has."""
    return PoolSpec(
        name=name,
        template=node_config.template,
        tag=settings.cluster_tag,
        nodes=nodes,
        max_nodes=max_nodes,
        boot_timeout=boot_timeout,
        idle_node_timeout=IDLE_NODE_TIMEOUT,
        idle_pool_timeout=idle_pool_timeout,
        images_id=node_config.images_id,
        user_data=node_config.full_userdata,
        metrics_enabled=node_config.metrics_enabled,
    )


def placement(pool: PoolView) -> Placement:
    """Where the tasks of a group may run that this pool is to serve, and only there as far as YellowDog can tell."""
    if pool.worker_tag is not None:
        return Placement((pool.worker_tag,), (pool.namespace,))
    # Waiting tasks would else make pools grow that were provisioned: those of this very cluster, for one.
    return Placement((), (pool.namespace,), (ON_PREMISES,))
