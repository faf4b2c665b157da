"""The `ray` command of this process: its name, its YAML, and its version of the autoscaler.

Ray passes none of them to a provider.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from yellowdog_ray.config.local_files import Need
from yellowdog_ray.node.variables import UP_AUTOSCALER_V2

_ENDING = ("down", "teardown")
_READING = (*_ENDING, "get-head-ip", "get-worker-ips", "get_head_ip", "get_worker_ips")
_CREATING = ("up", "create_or_update", "create-or-update")


def ends_the_cluster() -> bool:
    """Whether the command tears down a cluster with its head."""
    context = click.get_current_context(silent=True)
    return context is not None and context.info_name in _ENDING and not context.params.get("workers_only")


def requires_head() -> bool:
    """Whether the command cannot do anything without a head that is there already."""
    context = click.get_current_context(silent=True)
    if context is None or context.info_name in (*_ENDING, *_CREATING):
        return False
    return not context.params.get("start")


def restarts_only() -> bool:
    """Whether the command is `ray up --restart-only`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("restart_only"))


def local_need() -> Need:
    """How much of the YAML the command needs. Ray's SDK has no command, and needs everything."""
    context = click.get_current_context(silent=True)
    if context is None or context.params.get("start"):
        return Need.EVERYTHING
    if context.info_name in _CREATING:
        return Need.EVERYTHING
    if ends_the_cluster():
        return Need.NOTHING
    return Need.SSH_KEY_IF_USABLE if context.info_name in _READING else Need.SSH_KEY


def wants_v2() -> bool:
    """Whether `ray up` is to start autoscaler v2."""
    return os.environ.get(UP_AUTOSCALER_V2, "1") == "1"


def yaml_file() -> tuple[str, list[Path]]:
    """The YAML's name for messages, and the directories of its relative `file:` paths."""
    context = click.get_current_context(silent=True)
    named = context.params.get("cluster_config_file") if context else None
    if not named:
        return "cluster configuration", [Path.cwd()]
    return str(named), [Path(named).resolve().parent, Path.cwd()]


def drop_cached_config(provider_config: Mapping[str, Any]) -> None:
    """Delete Ray's cache of the bootstrapped YAML.

    Ray would use it until the YAML's own text changes. It would miss changes of files that the YAML names, and skip
    every check.
    """
    cached = Path(provider_config.get("_config_cache_path") or "")
    if cached.name.startswith("ray-config-"):
        cached.unlink(missing_ok=True)


def with_cached_config_path(config: Mapping[str, Any], prepared: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the path of Ray's cache, which old versions such as 2.50 do not state.

    Args:
        config: the configuration for Ray's next step.
        prepared: the YAML as Ray has prepared it, whose hash is in the path (`_bootstrap_config` in
            autoscaler/_private/commands.py).
    """
    from ray.autoscaler._private import commands

    has_sha1 = "sha1" in commands._bootstrap_config.__code__.co_names  # Ray 2.50; Ray 2.60 has SHA-256
    hasher = hashlib.new("sha1" if has_sha1 else "sha256", usedforsecurity=False)
    hasher.update(json.dumps([prepared], sort_keys=True).encode())
    path = str(Path(tempfile.gettempdir()) / f"ray-config-{hasher.hexdigest()}")
    return {**config, "provider": {**config["provider"], "_config_cache_path": path}}


def drop_cached_config_at_the_end(provider_config: Mapping[str, Any]) -> None:
    """Delete Ray's cache when the command ends, also if the user declines its question."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(lambda: drop_cached_config(provider_config))
