"""Changes of a running cluster by another `ray up`: checked before Ray sends anything to the head."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.snapshot import ClusterNode
from yellowdog_ray.config.environment import head_environment, head_task_script
from yellowdog_ray.config.limits import SMALL_CLUSTER
from yellowdog_ray.config.models import Internal, ProviderSettings
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node import variables
from yellowdog_ray.node.package import CURRENT
from yellowdog_ray.node.scripts import STARTS_RAY
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import TaskSpec

_HEAD_SETTINGS = {
    variables.OVERRIDE_RESOURCES: "resources of its node type",
    variables.OVERRIDE_LABELS: "labels of its node type",
    variables.TAG_SERVER_PORT: "provider.head_node_tag_server_port",
    variables.AUTOSCALER_V2: "the autoscaler's version",
    variables.AUTH_MODE: "provider.ray_auth",
    variables.RESOURCE_LOADS_PERIOD: f"how often Ray polls its nodes (more often up to max_workers: {SMALL_CLUSTER})",
}
"""Variables of the head task's environment, and the settings that they come from."""


@dataclass(frozen=True)
class Changes:
    """The effect of a configuration on a running cluster.

    Attributes:
        warnings: settings without effect, and nodes that Ray will terminate.
        auth_mode: the mode of Ray's authentication on the head, if its task states one.
        takes_package: whether the head's autoscaler runs the package that `ray up` sends.
    """

    warnings: list[str]
    auth_mode: str | None = None
    takes_package: bool = True


def check_changes(platform: Platform, cluster: Cluster, settings: ProviderSettings, *, v2: bool) -> Changes:
    """Check whether a running cluster can have this configuration. Changes nothing.

    Args:
        platform: the platform.
        cluster: the cluster that runs.
        settings: the new settings.
        v2: whether autoscaler v2 is requested.

    Raises:
        ConfigError: the autoscaler would fail with this configuration.
    """
    nodes = cluster.refresh().nodes.values()
    workers = Counter(node.node_type for node in nodes if not node.is_head)
    internal = settings.internal
    _refuse_removed_types(internal, workers)
    warnings = _limit_warnings(internal, workers)
    head = cluster.snapshot.head
    if head is None:
        return Changes(warnings)
    made = platform.task_spec(head.task_id)
    _refuse_other_updaters(cluster.name, internal, made.environment)
    warnings += _head_warnings(settings, head, made, v2=v2)
    return Changes(warnings, made.environment.get(variables.AUTH_MODE), CURRENT in made.script)


def _refuse_removed_types(internal: Internal, workers: Mapping[str, int]) -> None:
    """Refuse to remove node types with nodes: autoscaler v2 fails at every tick on such nodes, v1 terminates them."""
    removed = {node_type: count for node_type, count in workers.items() if node_type not in internal.node_types}
    if removed and internal.node_types:
        alive = ", ".join(f"{node_type} ({count})" for node_type, count in sorted(removed.items()))
        raise ConfigError(
            f"{internal.source}: available_node_types lacks types of which nodes run: {alive}. Keep them with "
            "max_workers: 0 until Ray has terminated their nodes, and then remove them; or run `ray down` first. "
            "Nothing has been changed"
        )


def _limit_warnings(internal: Internal, workers: Mapping[str, int]) -> list[str]:
    limits = [("max_workers", internal.max_workers, sum(workers.values()))]
    for name, kind in internal.node_types.items():
        limits.append((f"available_node_types.{name}.max_workers", kind.max_workers, workers.get(name, 0)))
    return [
        f"{internal.source}: {key} is {limit}, and {count} workers run: Ray terminates those above it, busy or not"
        for key, limit, count in limits
        if limit is not None and count > limit
    ]


def _refuse_other_updaters(cluster_name: str, internal: Internal, made: Mapping[str, str]) -> None:
    """Refuse a change between tasks and updaters, which the head's autoscaler reads once, at its start.

    Otherwise the next workers would wait for an updater that never runs. Autoscaler v2 also gives its updaters the
    configuration of its start (autoscaler/v2 of Ray 2.60). On nodes of a later type they fail without a message.
    """
    same_head = (made.get(variables.UPDATER) == STARTS_RAY) == (internal.head_updater == STARTS_RAY)
    if not same_head or made.get(variables.WORKER_UPDATER, "") != internal.worker_updater:
        raise ConfigError(
            f"{internal.source}: the use of set-up over SSH (file_mounts, setup_commands and the like) and of "
            f"..._start_ray_commands is fixed when a cluster is created, and '{cluster_name}' runs. "
            "Run `ray down` first, or restore these keys. Nothing has been changed"
        )
    known = json.loads(made.get(variables.UPDATED_NODE_TYPES, "[]"))
    new = sorted(internal.node_types.keys() - known)
    if internal.worker_updater and made.get(variables.AUTOSCALER_V2) == "1" and new:
        raise ConfigError(
            f"{internal.source}: available_node_types.{new[0]} is new, and Ray's autoscaler v2 sets up over SSH only "
            f"nodes of the types that cluster '{cluster_name}' was created with. Run `ray down` first, or remove it. "
            "Nothing has been changed"
        )


def _head_warnings(settings: ProviderSettings, head: ClusterNode, made: TaskSpec, *, v2: bool) -> list[str]:
    """Settings that the head's task keeps from its creation, and that differ now."""
    wanted = head_environment(head.id, head.tags, "", settings, v2=v2)
    different = [words for name, words in _HEAD_SETTINGS.items() if made.environment.get(name) != wanted[name]]
    restart = made.environment.get(variables.HEAD_RESTART)
    if (restart is not None) != settings.head_restart:
        different.append("provider.head_restart")
    elif made.script != head_task_script(settings):
        different.append("provider.ray_head_node_task_script")
    # A head that has replaced another has the rest of the lifetime.
    if restart in (None, variables.FIRST_HEAD) and made.timeout != settings.lifetime:
        different.append("provider.cluster_lifetime_hours")
    text = (
        f"{settings.internal.source}: the running head keeps the settings of its creation, and differs in: "
        f"{', '.join(different)}. To change them, run `ray down` and `ray up`"
    )
    return [text] if different else []


def head_replacement_error(cluster_name: str, source: str, head: ClusterNode) -> ConfigError:
    """The error that ends `ray up` instead of replacing the head, which would lose all work of the cluster."""
    return ConfigError(
        f"{source}: cluster '{cluster_name}' runs with another head (node type "
        f"'{head.node_type}') than this configuration requires. Its node type, its node_config, `auth` or Ray's "
        "version on this machine have changed. A new head would end the cluster with all its work: restore the old "
        "values, or run `ray down` first. Nothing has been changed"
    )


def restart_error(source: str) -> ConfigError:
    """The error that ends `ray up --restart-only` where Ray is not started by the user's own commands."""
    return ConfigError(
        f"{source}: `ray up --restart-only` cannot restart Ray, which runs in the head's task and ends with it. To "
        "restart it, run `ray down` and `ray up`; to apply changes of the YAML, run `ray up` without --restart-only. "
        "Nothing has been changed"
    )
