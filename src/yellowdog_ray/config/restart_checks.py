"""What `provider.head_restart` requires of a YAML: a carrier sends what the default scripts need. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.authentication import MODE_TOKEN
from yellowdog_ray.node.scripts import HEAD_SCRIPT, WORKER_SCRIPT

LEAST_BUILD_MINUTES = 5.0
"""The head pool outlives a lost head by the build timeout. In this time a new head must be submitted."""


def check_restart(settings: ProviderSettings, config: Mapping[str, Any], source: str) -> list[str]:
    """Check a completed YAML. Returns warnings.

    Raises:
        ConfigError: it has `head_restart`, and something that excludes it.
    """
    if not settings.head_restart:
        return []
    reasons = list(_obstacles(settings, config))
    if reasons:
        raise ConfigError(
            "\n".join(f"{source}: provider.head_restart {reason}, or remove head_restart" for reason in reasons)
        )
    head_type = config["head_node_type"]
    types = {name: kind for name, kind in config["available_node_types"].items() if name != head_type}
    if any(int(kind.get("min_workers") or 0) >= 1 for kind in types.values()):
        return []
    reason = "has no effect while no worker is alive: give a worker type min_workers: 1 or more"
    return [f"{source}: provider.head_restart {reason}"]


def _obstacles(settings: ProviderSettings, config: Mapping[str, Any]) -> Iterator[str]:
    head = config["available_node_types"][config["head_node_type"]]
    own_scripts = {
        "ray_head_node_task_script": settings.ray_head_node_task_script not in (None, HEAD_SCRIPT),
        "ray_worker_node_task_script": settings.ray_worker_node_task_script not in (None, WORKER_SCRIPT),
    }
    if settings.auth_mode != MODE_TOKEN:
        yield "needs Ray's token authentication: remove provider.ray_auth, with Ray 2.52 or later"
    for key in (key for key, is_own in own_scripts.items() if is_own):
        yield f"needs the default task scripts: remove provider.{key}"
    if head["node_config"].get("worker_pool"):
        yield "needs a head whose machine YellowDog provisions: give its node_config a compute_requirement_template"
    if settings.internal.head_updater or settings.internal.worker_updater:
        yield "excludes set-up over SSH: put the set-up into the image or into userdata"
    if config.get("file_mounts") or settings.files_to_upload:
        yield "excludes file_mounts and provider.files_to_upload: put the files into the image"
    if settings.head_node_build_timeout_minutes < LEAST_BUILD_MINUTES:
        yield f"needs provider.head_node_build_timeout_minutes of {LEAST_BUILD_MINUTES:g} or more: raise it"
