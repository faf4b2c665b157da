"""What `ray up` works out before anything is spent: the YAML checked, filled in and made independent of the laptop.

Also the default task scripts, and the environment of the tasks that run them. Pure apart from reading the files that
the YAML names; deterministic, idempotent, free of secrets.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yellowdog_ray.cluster.snapshot import TAGS_VARIABLE
from yellowdog_ray.config import models as cfg
from yellowdog_ray.config.updaters import for_workers_only, head_start, needs_updaters, worker_start
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.names import NAMING_RULE, is_valid_name
from yellowdog_ray.node.scripts import HEAD_SCRIPT, STARTS_RAY, UPDATER_VARIABLE, WORKER_SCRIPT

MAX_POOL_NODES = 10_000
"""Nodes in one worker pool (official CLI, `MAX_WORKER_POOL_NODE_COUNT`, "enforced by the platform"). A node type that
has more of them gets another task group with a pool of its own."""

MAX_TASK_GROUPS = 1_000
"""Task groups in one work requirement (docstring of the SDK's `model/work_requirement.py`)."""

MAX_LAUNCHES = 10_000
"""Most nodes that one tick of Ray's autoscaler may ask for."""

SMALL_CLUSTER = 250
"""With no more workers than this (`max_workers`) Ray looks at its cluster more often: in a large one each look costs
its control store and its autoscaler too much. Under autoscaler v2 alone: v1's news of its cluster are older than that
(`RayNodes.counts_placed_groups`)."""

TICK_SECONDS, SMALL_TICK_SECONDS = 2, 1
"""How long Ray's autoscaler rests between two looks at what its users want, and in a small cluster; by itself 5 s."""

LOADS_VARIABLE = "RAY_gcs_pull_resource_loads_period_milliseconds"
"""In the head task's environment, for Ray: how often its control store asks every node what waits there. Its autoscaler
knows of no demand before that."""

LOADS_MILLISECONDS, SMALL_LOADS_MILLISECONDS = 1_000, 250
"""Ray's own value (ray_config_def.h), and that of a small cluster: of 250 nodes, it is as much to ask as of 1,000 by
Ray's own."""

RAYS_PATIENCE = {
    "RAY_raylet_client_connect_timeout_milliseconds": "100",
    "RAY_raylet_client_num_connect_attempts": "100",
}
"""In the environment of every node's task, for Ray: look for a local socket every tenth of a second for 10 s. By itself
it looks every second, for as long (ray_config_def.h), and a raylet that is quicker than its own object store, as every
other one is, sleeps that whole second (`ConnectSocketRetry` in client_connection.cc)."""

UPSCALING_SPEED = 99_999
"""Ray leaves this at 0 for external providers, which is one node per type and tick (autoscaler/v2 of Ray 2.60)."""

ALLOCATED_SECONDS = 3_600
"""How long Ray's autoscaler v2 gives a worker from its launch to its joining, at least. Ray 2.50 to 2.53 would end slow
machines after 300 s; we give them up ourselves."""

ON_HEAD_VARIABLE = "RAYDOG_ON_HEAD"
"""Set in the head task's environment, so that the provider inside Ray's monitor knows where it is."""

WORK_REQUIREMENT_VARIABLE = "RAYDOG_WORK_REQUIREMENT_ID"
"""In the head task's environment: the cluster's own work requirement, so that no other can be meant."""

HEAD_V2_VARIABLE = "RAY_enable_autoscaler_v2"
"""In the head task's environment, for Ray: "1" says that its new autoscaler runs."""

WORKER_UPDATER_VARIABLE = "RAYDOG_WORKER_UPDATER"
"""In the head task's environment: what workers' tasks leave to Ray's updaters, for as long as the cluster lives."""

UPDATED_TYPES_VARIABLE = "RAYDOG_UPDATED_NODE_TYPES"
"""Beside it: the node types that the updaters know."""

_RAYS_START_WAIT = 900  # Ray's default of AUTOSCALER_NODE_START_WAIT_S
_DAY = 24 * 3600

_STOPS_RAY = re.compile(r"\bray\s+stop\b")
_PORT_OPTION = re.compile(r"(?:valkey|redis)-server\b[^\n]*?--port[ =]+[\"']?(\d+)")


def bootstrap(config: Mapping[str, Any], source: str, folders: list[Path]) -> tuple[dict[str, Any], list[str]]:
    """Check and complete a cluster's configuration.

    Args:
        config: the YAML as Ray has prepared it; it is not changed. Passing a result in again changes nothing.
        source: the YAML's name, for messages.
        folders: where relative `file:` paths are looked for.

    Returns:
        The completed configuration, and warnings for the user.

    Raises:
        ConfigError: something in it cannot work.
    """
    result = copy.deepcopy(dict(config))
    _check_cluster_name(result.get("cluster_name"), source)
    result["auth"] = _auth(result, source)

    _check_size(result, source)

    provider = cfg.inline_files(result["provider"], cfg.PROVIDER_FILE_KEYS, source, "provider", folders)
    node_types = _node_types(result, source, folders)
    result["available_node_types"] = node_types
    provider["auth"] = result["auth"]
    ignored = _ignored(result)
    provider.setdefault("disable_node_updaters", not needs_updaters(result))
    filled = provider.pop(cfg.FILLED_KEY, {})
    if cfg.INTERNAL_KEY not in provider:
        provider[cfg.INTERNAL_KEY] = {**_internal(result, source, filled), **_starts(result, provider, source)}
    provider["ray_head_node_task_script"] = provider.get("ray_head_node_task_script") or HEAD_SCRIPT
    provider["ray_worker_node_task_script"] = provider.get("ray_worker_node_task_script") or WORKER_SCRIPT
    settings = cfg.parse_provider(provider, source)

    provider.setdefault("disable_launch_config_check", True)
    provider.setdefault("foreground_node_launch", True)
    result["provider"] = provider
    result.setdefault("upscaling_speed", UPSCALING_SPEED)
    return result, _warnings(settings, result, source, ignored)


def _check_cluster_name(name: object, source: str) -> None:
    if isinstance(name, str) and is_valid_name(name):
        return
    raise ConfigError(f"{source}: cluster_name '{name}' is not a name that YellowDog accepts: use {NAMING_RULE}")


def _auth(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    auth = config.get("auth") or config["provider"].get("auth")
    if not auth:
        raise ConfigError(
            f"{source}: auth is missing: add `auth:` with `ssh_user: yd-agent` and `ssh_private_key: <path>`"
        )
    key = cfg.parse_auth(auth, source)
    # Ray hands the path to rsync and ssh as it stands, without a shell that would expand it.
    return {**auth, "ssh_private_key": str(key)}


def _node_types(config: Mapping[str, Any], source: str, folders: list[Path]) -> dict[str, Any]:
    node_types = copy.deepcopy(dict(config.get("available_node_types") or {}))
    for name, node_type in node_types.items():
        path = f"available_node_types.{name}.node_config"
        node_config = cfg.inline_files(node_type.get("node_config") or {}, cfg.NODE_FILE_KEYS, source, path, folders)
        cfg.parse_node_config(node_config, source, path)
        node_type["node_config"] = node_config
    if config.get("head_node_type") not in node_types:
        raise ConfigError(
            f"{source}: head_node_type '{config.get('head_node_type')}' is not one of available_node_types "
            f"({', '.join(node_types) or 'none'})"
        )
    return node_types


def _internal(config: Mapping[str, Any], source: str, filled: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    node_types = config["available_node_types"]
    head = node_types[config["head_node_type"]]
    return {
        "source": source,
        "max_workers": config.get("max_workers"),
        "head_resources": head.get("resources") or {},
        "head_labels": head.get("labels") or {},
        "node_types": {
            name: {
                "compute_requirement_template": node_type["node_config"].get("compute_requirement_template"),
                "worker_pool": node_type["node_config"].get("worker_pool"),
                "max_workers": node_type.get("max_workers"),
                "resources": node_type.get("resources") or {},
                "resources_origin": filled.get(name, {}).get("origin"),
                "resources_unknown": filled.get(name, {}).get("unknown"),
            }
            for name, node_type in node_types.items()
        },
    }


def _starts(result: dict[str, Any], provider: Mapping[str, Any], source: str) -> dict[str, str]:
    """Put the start commands into the configuration. Returns what the tasks leave to the updaters."""
    head = head_start(result, provider.get("ray_head_node_task_script"), source)
    result["head_start_ray_commands"] = head.commands
    if provider["disable_node_updaters"]:
        return {"head_updater": head.updater}
    worker = worker_start(result, provider.get("ray_worker_node_task_script"), source)
    result["worker_start_ray_commands"] = worker.commands
    return {"head_updater": head.updater, "worker_updater": worker.updater}


def _ignored(config: Mapping[str, Any]) -> list[str]:
    """What the user has given for workers, and has at the same time forbidden."""
    return for_workers_only(config) if config["provider"].get("disable_node_updaters") else []


def _warnings(
    settings: cfg.ProviderSettings, config: Mapping[str, Any], source: str, ignored: Sequence[str]
) -> list[str]:
    script = settings.ray_head_node_task_script or ""
    port = settings.head_node_tag_server_port
    stated = _PORT_OPTION.search(script)
    warnings = []
    if stated and int(stated.group(1)) != port:
        warnings.append(
            f"{source}: provider.head_node_tag_server_port is {port}, but ray_head_node_task_script starts the tag "
            f"server on port {stated.group(1)}: make them the same, or tags cannot be stored"
        )
    commands = config.get("head_start_ray_commands") or ()
    if settings.internal.head_updater != STARTS_RAY and any(_STOPS_RAY.search(str(command)) for command in commands):
        warnings.append(
            f"{source}: head_start_ray_commands run `ray stop`, at every `ray up`: that ends the head's task, and the "
            "cluster with it. Leave them empty: provider.ray_head_node_task_script starts Ray"
        )
    if settings.api_key_in_head_task:
        warnings.append(
            f"{source}: provider.api_key_in_head_task puts the API key into the head task's environment, where "
            "everybody who may see the task can read it: remove that key, and let your script read "
            "~/.raydog/credentials instead"
        )
    if ignored:
        warnings.append(
            f"{source}: provider.disable_node_updaters is true, so nothing comes of {', '.join(ignored)}: remove that "
            "key, and Ray sets the workers up over SSH"
        )
    return warnings


def _check_size(config: Mapping[str, Any], source: str) -> None:
    """A node type has a task group for every 10,000 nodes that it may have, and the head has one."""
    in_all = config.get("max_workers") or 0
    limits = [node_type.get("max_workers") or in_all for node_type in config["available_node_types"].values()]
    groups = 1 + sum(max(1, math.ceil(limit / MAX_POOL_NODES)) for limit in limits)
    if groups > MAX_TASK_GROUPS:
        raise ConfigError(
            f"{source}: available_node_types and their max_workers need {groups} task groups, and YellowDog allows "
            f"{MAX_TASK_GROUPS} in a work requirement: use fewer node types, or lower max_workers"
        )


def head_environment(
    node_id: str, tags: Mapping[str, str], work_requirement_id: str, settings: cfg.ProviderSettings, *, v2: bool
) -> dict[str, str]:
    """The environment of the head's task: what `ray up` would have injected, and how fast the cluster may grow."""
    internal = settings.internal
    small = v2 and internal.max_workers is not None and internal.max_workers <= SMALL_CLUSTER
    pacing = {
        "AUTOSCALER_MAX_CONCURRENT_LAUNCHES": str(MAX_LAUNCHES),
        "AUTOSCALER_MAX_LAUNCH_BATCH": str(MAX_LAUNCHES),
        "AUTOSCALER_UPDATE_INTERVAL_S": str(SMALL_TICK_SECONDS if small else TICK_SECONDS),
        LOADS_VARIABLE: str(SMALL_LOADS_MILLISECONDS if small else LOADS_MILLISECONDS),
        "RAY_AUTOSCALER_RECONCILE_ALLOCATE_STATUS_TIMEOUT_S": str(_allocated_seconds(settings)),
    }
    key = load_credentials().as_environment() if settings.api_key_in_head_task else {}
    return {
        **_node_environment(node_id, tags, internal.head_resources, internal.head_labels),
        **pacing,
        **_updater(internal.head_updater),
        **_updating_workers(settings),
        **key,
        HEAD_V2_VARIABLE: "1" if v2 else "0",
        "RAYDOG_TAG_SERVER_PORT": str(settings.head_node_tag_server_port),
        ON_HEAD_VARIABLE: "1",
        WORK_REQUIREMENT_VARIABLE: work_requirement_id,
    }


def _allocated_seconds(settings: cfg.ProviderSettings) -> int:
    """Longer than we wait for a machine, and then for Ray on it."""
    return max(ALLOCATED_SECONDS, math.ceil(3 * settings.worker_node_build_timeout_minutes * 60))


def worker_environment(
    node_id: str,
    tags: Mapping[str, str],
    head_ip: str,
    resources: Mapping[str, float],
    labels: Mapping[str, str],
    updater: str = "",
) -> dict[str, str]:
    """The environment of a worker's task: who it is, what it offers, where the head is, what an updater does there."""
    environment = _node_environment(node_id, tags, resources, labels)
    return {**environment, **_updater(updater), "RAY_HEAD_IP": head_ip}


def _updater(updater: str) -> dict[str, str]:
    return {UPDATER_VARIABLE: updater} if updater else {}


def _updating_workers(settings: cfg.ProviderSettings) -> dict[str, str]:
    """What Ray's updaters on the head need: time, since it is ours to say when a worker has had enough of it."""
    internal = settings.internal
    if not internal.worker_updater:
        return {}
    until_ssh = 2 * settings.worker_node_build_timeout_minutes * 60  # for a machine, and then for it to answer
    return {
        WORKER_UPDATER_VARIABLE: internal.worker_updater,
        UPDATED_TYPES_VARIABLE: json.dumps(sorted(internal.node_types)),
        "AUTOSCALER_NODE_START_WAIT_S": str(math.ceil(max(until_ssh, _RAYS_START_WAIT))),
        "RAY_AUTOSCALER_RECONCILE_RAY_INSTALL_STATUS_TIMEOUT_S": str(_DAY),
    }


def _node_environment(
    node_id: str, tags: Mapping[str, str], resources: Mapping[str, float], labels: Mapping[str, str]
) -> dict[str, str]:
    return {
        "RAY_CLOUD_INSTANCE_ID": node_id,
        "RAY_NODE_TYPE_NAME": tags.get("ray-user-node-type", ""),
        "RAY_OVERRIDE_RESOURCES": json.dumps(resources, sort_keys=True),
        "RAY_OVERRIDE_LABELS": json.dumps(labels, sort_keys=True),
        TAGS_VARIABLE: json.dumps(dict(tags), sort_keys=True),
        **RAYS_PATIENCE,
    }
