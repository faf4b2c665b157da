"""Configured worker pools: the user's own machines, which register by themselves and which RayDog never terminates.

Checks that such a pool can serve the node type that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from yellowdog_ray.cluster.pools import ON_PREMISES
from yellowdog_ray.config.models import Internal
from yellowdog_ray.errors import ConfigError, NotFound
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.convert import TASK_TYPE
from yellowdog_ray.platform.types import PlatformNodeView, PoolView


@dataclass(frozen=True)
class _Named:
    """A pool named by a node type; `path` is its place in the YAML."""

    path: str
    pool: PoolView
    nodes: tuple[PlatformNodeView, ...]


def check_configured_pools(platform: Platform, internal: Internal) -> list[str]:
    """Check that each configured pool can serve the node types that name it. Changes nothing.

    Returns:
        Warnings.

    Raises:
        ConfigError, NotFound: a pool cannot; the text has the reason and the remedy.
    """
    found: dict[str, _Named] = {}
    warnings: list[str] = []
    for node_type, summary in internal.node_types.items():
        if summary.worker_pool is None:
            continue
        path = f"{internal.source}: available_node_types.{node_type}.node_config.worker_pool"
        named = _Named(path, *usable_pool(platform, summary.worker_pool, path))
        found[node_type] = named
        usable = sum(TASK_TYPE in node.task_types for node in named.nodes)
        if summary.max_workers is not None and summary.max_workers > usable:
            warnings.append(
                f"{path}: '{summary.worker_pool}' has {usable} platform node(s) for tasks of type `{TASK_TYPE}`, and "
                f"max_workers is {summary.max_workers}: further workers wait for further machines"
            )
    _refuse_ambiguity(found)
    for named in {named.pool.id: named for named in found.values()}.values():
        warnings += _sharing_warnings(platform, named)
    return warnings


def usable_pool(platform: Platform, reference: str, path: str) -> tuple[PoolView, tuple[PlatformNodeView, ...]]:
    """A configured pool that can serve a node type, and its live platform nodes.

    Args:
        platform: the platform.
        reference: the pool's id or its `namespace/name`.
        path: its place in the YAML, for messages.
    """
    try:
        pool = platform.existing_pool(reference)
    except NotFound as error:
        raise NotFound(
            f"{path}: YellowDog has no worker pool '{reference}' that is visible to this key: give the id or "
            "`namespace/name` of one"
        ) from error
    if not pool.configured:
        raise ConfigError(
            f"{path}: worker pool '{reference}' is provisioned, not configured: to have machines provisioned, name a "
            "compute_requirement_template instead"
        )
    if pool.finished:
        raise ConfigError(f"{path}: worker pool '{reference}' has been shut down ({pool.status}): name a running one")
    nodes = tuple(node for node in platform.platform_nodes(pool.id) if node.alive)
    _check_nodes(reference, nodes, path)
    return pool, nodes


def _check_nodes(reference: str, nodes: tuple[PlatformNodeView, ...], path: str) -> None:
    if not nodes:
        raise ConfigError(
            f"{path}: worker pool '{reference}' has no platform node: start the YellowDog agent on its machines, with "
            "the pool's token"
        )
    usable = [node for node in nodes if TASK_TYPE in node.task_types]
    if not usable:
        offered = ", ".join(sorted({word for node in nodes for word in node.task_types})) or "nothing"
        raise ConfigError(
            f"{path}: none of the {len(nodes)} platform node(s) of worker pool '{reference}' offers task type "
            f"`{TASK_TYPE}` (they offer: {offered}). Add it to yda.taskTypes in their agents' application.yaml"
        )
    for node in usable:
        # Two Ray nodes on one machine stop each other with `ray stop`, and autoscaler v1 identifies them by address.
        if node.slots != 1:
            raise ConfigError(
                f"{path}: platform node {node.instance_id} of worker pool '{reference}' has {node.slots} YellowDog "
                "workers, and a Ray node needs a machine of its own. Set yda.createWorkers to PER_NODE, 1 in its "
                "agent's application.yaml"
            )
        if node.private_ip is None:
            raise ConfigError(
                f"{path}: platform node {node.instance_id} of worker pool '{reference}' has no address: set "
                "yda.privateIpAddress in its agent's application.yaml"
            )


def _refuse_ambiguity(found: Mapping[str, _Named]) -> None:
    """Refuse pools without a worker tag where YellowDog could not keep their tasks apart."""
    untagged = [named for named in found.values() if named.pool.worker_tag is None]
    for named in untagged:
        strange = {str(node.provider) for node in named.nodes if node.provider != ON_PREMISES}
        if strange:
            raise ConfigError(
                f"{named.path}: worker pool '{named.pool.name}' has no worker tag, and platform nodes of provider "
                f"{', '.join(sorted(strange))}: its tasks could run on any provisioned machine there. Create "
                "the pool again with a workerTag"
            )
        for other in found.values():
            if other.pool.id != named.pool.id and other.pool.namespace == named.pool.namespace:
                raise ConfigError(
                    f"{named.path}: worker pool '{named.pool.name}' has no worker tag, so its tasks could run in "
                    f"'{other.pool.name}' as well, which another node type names. Create it again with a workerTag"
                )


def _sharing_warnings(platform: Platform, named: _Named) -> list[str]:
    """Warnings about machines outside the pool that may run its tasks."""
    pool = named.pool
    if pool.worker_tag is None:
        text = (
            f"{named.path}: worker pool '{pool.name}' has no worker tag: its tasks may run on any on-premises platform "
            f"node of namespace {pool.namespace}. Create the pool again with a workerTag to prevent that"
        )
        return [text]
    foreign_pool_ids = {node.pool_id for node in platform.tagged_nodes(pool.worker_tag)} - {pool.id}
    others = [other.name for other in map(platform.pool, sorted(foreign_pool_ids)) if other.namespace == pool.namespace]
    text = (
        f"{named.path}: worker tag '{pool.worker_tag}' is also that of worker pool {', '.join(others)}: tasks for "
        f"'{pool.name}' may run there too"
    )
    return [text] if others else []
