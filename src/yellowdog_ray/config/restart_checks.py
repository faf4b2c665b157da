"""The requirements of `provider.head_restart` on a YAML: a carrier sends what the default scripts need.

No I/O except looking for the private key's certificate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray

from yellowdog_ray.config.models import INTERNAL_KEY, ProviderSettings
from yellowdog_ray.config.ray_auth import FIRST
from yellowdog_ray.config.updaters import for_workers_only
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.authentication import MODE_TOKEN
from yellowdog_ray.node.ray_versions import has_tokens
from yellowdog_ray.node.scripts import HEAD_SCRIPT, WORKER_SCRIPT

_ON_THE_HEAD = (
    "file_mounts",
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "head_start_ray_commands",
)
"""Keys that Ray's updater of the head honours; a new head has none."""

_MERGED = ("head_setup_commands", "worker_setup_commands")
"""Keys before whose values Ray has put those of `setup_commands`."""

_FILES = "put the files into the image"
_SET_UP = "put the set-up into the image or into userdata"
_START = "let the default task scripts start Ray"
_REMEDIES = {
    "file_mounts": _FILES,
    "cluster_synced_files": _FILES,
    "files_to_upload": _FILES,
    "head_start_ray_commands": _START,
    "worker_start_ray_commands": _START,
    "disable_node_updaters": "remove the key",
}

LAST_MINUTES = 10
"""Minutes at the end of the lifetime in which no head is replaced (`carrier.decision.LEAST_LIFETIME`)."""

LEAST_BUILD_MINUTES = 5.0
"""The head pool outlives a lost head by the build timeout. In this time a new head must be submitted."""


def check_restart(
    settings: ProviderSettings, config: Mapping[str, Any], written: Mapping[str, Any], source: str
) -> list[str]:
    """Check a YAML.

    Args:
        settings: the completed section `provider`.
        config: the completed YAML.
        written: the YAML as Ray has prepared it.
        source: the YAML's name, for messages.

    Returns:
        Warnings.

    Raises:
        ConfigError: it has `head_restart`, and something that excludes it.
    """
    if not settings.head_restart:
        return []
    reasons = list(_obstacles(settings, config, written))
    if reasons:
        raise ConfigError(
            "\n".join(f"{source}: provider.head_restart {reason}, or remove head_restart" for reason in reasons)
        )
    head_type = config["head_node_type"]
    types = {name: kind for name, kind in config["available_node_types"].items() if name != head_type}
    warnings = []
    certificate = Path(f"{config['auth']['ssh_private_key']}-cert.pub")
    if certificate.is_file():
        warnings.append(
            f"does not use {certificate}, which stays on this machine: authorise the key itself on the head's machine"
        )
    if settings.cluster_lifetime_hours * 60 <= LAST_MINUTES:
        warnings.append(
            f"has no effect in the last {LAST_MINUTES} minutes of the lifetime: raise provider.cluster_lifetime_hours"
        )
    if not any(int(kind.get("min_workers") or 0) >= 1 for kind in types.values()):
        warnings.append("has no effect while no worker is alive: give a worker type min_workers: 1 or more")
    return [f"{source}: provider.head_restart {warning}" for warning in warnings]


def _obstacles(settings: ProviderSettings, config: Mapping[str, Any], written: Mapping[str, Any]) -> Iterator[str]:
    head = config["available_node_types"][config["head_node_type"]]
    own_scripts = {
        "ray_head_node_task_script": settings.ray_head_node_task_script not in (None, HEAD_SCRIPT),
        "ray_worker_node_task_script": settings.ray_worker_node_task_script not in (None, WORKER_SCRIPT),
    }
    if settings.auth_mode != MODE_TOKEN and not has_tokens(ray.__version__):
        yield f"needs Ray {FIRST} or later, and this machine has {ray.__version__}: install it here and on the nodes"
    elif settings.auth_mode != MODE_TOKEN:
        yield "needs Ray's token authentication: remove provider.ray_auth"
    for key in (key for key, is_own in own_scripts.items() if is_own):
        yield f"needs the default task scripts: remove provider.{key}"
    if head["node_config"].get("worker_pool"):
        yield "needs a head whose machine YellowDog provisions: give its node_config a compute_requirement_template"
    for remedy, keys in _excluded(settings, written).items():
        yield f"excludes {', '.join(keys)}: {remedy}"
    if settings.head_node_build_timeout_minutes < LEAST_BUILD_MINUTES:
        yield f"needs provider.head_node_build_timeout_minutes of {LEAST_BUILD_MINUTES:g} or more: raise it"


def _excluded(settings: ProviderSettings, written: Mapping[str, Any]) -> dict[str, list[str]]:
    """The user's keys for which a node needs SSH, by the remedy. A completed YAML was checked before."""
    keys = ["provider.files_to_upload"] if settings.files_to_upload else []
    if INTERNAL_KEY not in written["provider"]:
        shared = len(written.get("setup_commands") or ())
        own = {**written, **{key: (written.get(key) or [])[shared:] for key in _MERGED}}
        keys += [key for key in _ON_THE_HEAD if own.get(key)]
        if settings.internal.worker_updater:
            keys += for_workers_only(own)
            keys = keys or ["provider.disable_node_updaters"]
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(_REMEDIES.get(key.rpartition(".")[2], _SET_UP), []).append(key)
    return found
