"""Checks of Ray's own keys: values that Ray's schema lets pass, and that would stop the cluster later. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from yellowdog_ray.config.limits import MAX_POOL_NODES, MAX_TASK_GROUPS
from yellowdog_ray.config.models import LIMIT_KEY
from yellowdog_ray.errors import ConfigError

_DOCKER = ("image", "head_image", "worker_image", "container_name")


def check_ray_keys(config: Mapping[str, Any], source: str) -> None:
    """Refuse values with which Ray or YellowDog cannot run a cluster.

    Raises:
        ConfigError: one line per mistake.
    """
    problems = [*_names(config), *_docker(config), *_counts(config), *_infinite(config, "")]
    if not problems:
        problems = list(_task_groups(config))
    if problems:
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems))


def accepted_by_ray(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with a `max_workers` that Ray accepts; `check_ray_keys` then refuses the YAML's own.

    Ray ends every command with a traceback where the sum of `min_workers` exceeds it, `ray down` too
    (`validate_config` in autoscaler/_private/util.py of Ray 2.60).
    """
    total, limit = _sum_of_minimums(config), config.get("max_workers")
    if not isinstance(limit, int) or total <= limit:
        return dict(config)
    return {**config, "max_workers": total, "provider": {**config["provider"], LIMIT_KEY: limit}}


def _sum_of_minimums(config: Mapping[str, Any]) -> int:
    kinds = (config.get("available_node_types") or {}).values()
    minimums = [kind.get("min_workers") for kind in kinds if isinstance(kind, Mapping)]
    return sum(minimum for minimum in minimums if isinstance(minimum, int))


def _names(config: Mapping[str, Any]) -> Iterator[str]:
    for name in config.get("available_node_types") or {}:
        if not isinstance(name, str) or not name.strip():
            yield f"available_node_types has a node type named {name!r}: give it a name, such as `worker`"


def _docker(config: Mapping[str, Any]) -> Iterator[str]:
    sections = {"docker": config.get("docker")}
    for name, node_type in (config.get("available_node_types") or {}).items():
        sections[f"available_node_types.{name}.docker"] = node_type.get("docker")
    for place, section in sections.items():
        if isinstance(section, Mapping) and any(section.get(key) for key in _DOCKER):
            yield (
                f"{place}: RayDog starts Ray in the nodes' tasks, not in Ray's containers: remove the section, and "
                "start the containers in the task scripts (docs/containers.md)"
            )


def _counts(config: Mapping[str, Any]) -> Iterator[str]:
    for name, node_type in (config.get("available_node_types") or {}).items():
        place = f"available_node_types.{name}"
        for key in ("min_workers", "max_workers", "idle_timeout_s"):
            if (node_type.get(key) or 0) < 0:
                yield f"{place}.{key} is {node_type[key]}: give a number of 0 or above"
        minimum, maximum = node_type.get("min_workers") or 0, node_type.get("max_workers")
        if name != config.get("head_node_type") and maximum is not None and minimum > max(maximum, 0):
            yield f"{place}.min_workers is {minimum}, above max_workers ({maximum}): lower one or raise the other"
    total, limit = _sum_of_minimums(config), config["provider"].get(LIMIT_KEY, config.get("max_workers"))
    if limit is not None and total > limit:
        yield f"min_workers of all node types are {total} in sum, above max_workers ({limit}): lower them or raise it"


def _infinite(value: object, place: str) -> Iterator[str]:
    """Numbers that no JSON can hold: Ray fails at them when it computes with them."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{place} is {value}: give a finite number"
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if place or key != "provider":  # `models` checks that section, with the remedy of each key
                yield from _infinite(part, f"{place}.{key}" if place else str(key))


def _task_groups(config: Mapping[str, Any]) -> Iterator[str]:
    """More task groups than YellowDog allows: one for the head, and one per 10,000 nodes of a node type."""
    cluster_limit = config.get("max_workers") or 0
    limits = [node_type.get("max_workers") or cluster_limit for node_type in config["available_node_types"].values()]
    groups = 1 + sum(max(1, math.ceil(limit / MAX_POOL_NODES)) for limit in limits)
    if groups > MAX_TASK_GROUPS:
        yield (
            f"available_node_types and their max_workers need {groups} task groups, and YellowDog allows "
            f"{MAX_TASK_GROUPS} in a work requirement: use fewer node types, or lower max_workers"
        )
