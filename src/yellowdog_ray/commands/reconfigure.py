"""Checks what another `ray up` changes of a cluster that runs, before Ray sends anything to its head."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.snapshot import ClusterNode
from yellowdog_ray.config.environment import head_environment
from yellowdog_ray.config.limits import SMALL_CLUSTER
from yellowdog_ray.config.models import Internal, ProviderSettings
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node import variables
from yellowdog_ray.node.scripts import HEAD_SCRIPT, STARTS_RAY
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import TaskSpec

_OF_THE_HEAD = {
    variables.OVERRIDE_RESOURCES: "resources of its node type",
    variables.OVERRIDE_LABELS: "labels of its node type",
    variables.TAG_SERVER_PORT: "provider.head_node_tag_server_port",
    variables.AUTOSCALER_V2: "the autoscaler's version",
    variables.RESOURCE_LOADS_PERIOD: f"how often Ray polls its nodes (more often up to max_workers: {SMALL_CLUSTER})",
}
"""Variables of the head task's environment, and the settings that they come from."""


def check_changes(platform: Platform, cluster: Cluster, settings: ProviderSettings, *, v2: bool) -> list[str]:
    """Find out whether a cluster that runs can take on this configuration. Changes nothing.

    Args:
        platform: the platform.
        cluster: the cluster that runs.
        settings: the new settings.
        v2: whether the new autoscaler is asked for.

    Returns:
        What will not be as the configuration says, or may surprise.

    Raises:
        ConfigError: Ray's autoscaler would stop working.
    """
    nodes = cluster.refresh().nodes.values()
    workers = Counter(node.node_type for node in nodes if not node.is_head)
    internal = settings.internal
    _refuse_removed_types(internal, workers)
    warnings = _too_many(internal, workers)
    head = cluster.snapshot.head
    if head is not None:
        made = platform.task_spec(head.task_id)
        _refuse_other_updaters(cluster.name, internal, made.environment)
        warnings += _of_the_head(settings, head, made, v2=v2)
    return warnings


def _refuse_removed_types(internal: Internal, workers: Mapping[str, int]) -> None:
    """Ray's autoscaler v2 fails on every tick over a node whose type it does not know, and v1 ends such nodes."""
    removed = {node_type: count for node_type, count in workers.items() if node_type not in internal.node_types}
    if removed and internal.node_types:
        alive = ", ".join(f"{node_type} ({count})" for node_type, count in sorted(removed.items()))
        raise ConfigError(
            f"{internal.source}: available_node_types lacks types of which nodes run: {alive}. Leave them in with "
            "max_workers: 0, which lets Ray end those nodes, and take them out when they have gone; or run `ray down` "
            "first. Nothing has been changed"
        )


def _too_many(internal: Internal, workers: Mapping[str, int]) -> list[str]:
    limits = [("max_workers", internal.max_workers, sum(workers.values()))]
    for name, kind in internal.node_types.items():
        limits.append((f"available_node_types.{name}.max_workers", kind.max_workers, workers.get(name, 0)))
    return [
        f"{internal.source}: {key} is {limit}, and {count} workers run: Ray ends those above it, busy or not"
        for key, limit, count in limits
        if limit is not None and count > limit
    ]


def _refuse_other_updaters(cluster_name: str, internal: Internal, made: Mapping[str, str]) -> None:
    """The head's autoscaler has settled at its start whether there are updaters.

    With another configuration its next workers would wait for an updater that never comes. And v2 gives its updaters
    the configuration that it started with (autoscaler/v2 of Ray 2.60): on a node of a later type they fail without a
    word, again and again.
    """
    same_head = (made.get(variables.UPDATER) == STARTS_RAY) == (internal.head_updater == STARTS_RAY)
    if not same_head or made.get(variables.WORKER_UPDATER, "") != internal.worker_updater:
        raise ConfigError(
            f"{internal.source}: cluster '{cluster_name}' runs, and whether Ray sets its nodes up over SSH "
            "(file_mounts, setup_commands and the like) and starts Ray there (..._start_ray_commands) is settled when "
            "a cluster is made: run `ray down` first, or put these keys back as they were. Nothing has been changed"
        )
    known = json.loads(made.get(variables.UPDATED_NODE_TYPES, "[]"))
    new = sorted(internal.node_types.keys() - known)
    if internal.worker_updater and made.get(variables.AUTOSCALER_V2) == "1" and new:
        raise ConfigError(
            f"{internal.source}: available_node_types.{new[0]} is new, and Ray's autoscaler v2 sets up over SSH only "
            f"nodes of the types that cluster '{cluster_name}' was made with: run `ray down` first, or leave it out. "
            "Nothing has been changed"
        )


def _of_the_head(settings: ProviderSettings, head: ClusterNode, made: TaskSpec, *, v2: bool) -> list[str]:
    """The head's task is what it was made as: name what is different now."""
    wanted = head_environment(head.id, head.tags, "", settings, v2=v2)
    different = [words for name, words in _OF_THE_HEAD.items() if made.environment.get(name) != wanted[name]]
    if made.script != (settings.ray_head_node_task_script or HEAD_SCRIPT):
        different.append("provider.ray_head_node_task_script")
    if made.timeout != settings.lifetime:
        different.append("provider.cluster_lifetime_hours")
    text = (
        f"{settings.internal.source}: the head that runs keeps what it was made with, and differs in: "
        f"{', '.join(different)}. To change that, run `ray down` and `ray up`"
    )
    return [text] if different else []


def head_would_be_replaced(cluster_name: str, source: str, head: ClusterNode) -> ConfigError:
    """Why `ray up` ends here, instead of replacing the head and losing all that runs in the cluster."""
    return ConfigError(
        f"{source}: cluster '{cluster_name}' runs with another head (node type "
        f"'{head.node_type}') than this configuration asks for: its node type, its node_config, `auth` or Ray's "
        "version on this machine have changed. Replacing it would end the cluster with all its work: change that back, "
        "or run `ray down` first. Nothing has been changed"
    )
