"""The user's YAML of a simulated cluster. Imports neither the provider nor the local platform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BOOT_SECONDS = {"quick": 2, "roomy": 8}
"""Templates of the simulated platform and the time that their instances take to boot.

`ray up` polls while a quick one boots; workers on a roomy one are pending for more than one tick, as real ones are.
"""

BOOTED_SECONDS = max(BOOT_SECONDS.values()) + 1
"""When a task runs on an instance of any template, counted from its launch."""

QUICK = "demo/quick"
ROOMY = "demo/roomy"

CONFIG_FILE = "ray_bootstrap_config.yaml"
"""The completed YAML in the home of the head's user."""

KEY_FILE = "ray_bootstrap_key.pem"
"""The cluster's SSH key in the home of the head's user."""


def node_type(template: str = ROOMY, **fields: Any) -> dict[str, Any]:
    """An entry of `available_node_types`."""
    return {"resources": {"CPU": 1}, "node_config": {"compute_requirement_template": template}, **fields}


def cluster_config(
    name: str,
    key: Path,
    cluster_lifetime_hours: float = 1.0,
    worker_node_build_timeout_minutes: float = 10.0,
    **changes: Any,
) -> dict[str, Any]:
    """A user's YAML, complete enough for Ray. `changes` replace or add top-level keys."""
    empty = ("setup_commands", "head_setup_commands", "worker_setup_commands", "cluster_synced_files")
    return {
        **{key: [] for key in (*empty, "initialization_commands", "worker_start_ray_commands")},
        "head_start_ray_commands": [],
        "file_mounts": {},
        "cluster_name": name,
        "max_workers": 300,
        "idle_timeout_minutes": 1,
        "provider": {
            "type": "external",
            "module": "yellowdog_ray.raydog.autoscaler.RayDogNodeProvider",
            "cluster_namespace": "demo",
            "cluster_lifetime_hours": cluster_lifetime_hours,
            "worker_node_build_timeout_minutes": worker_node_build_timeout_minutes,
            "head_node_tag_server_port": 1,
        },
        "auth": {"ssh_user": "yd-agent", "ssh_private_key": str(key)},
        "head_node_type": "head",
        "available_node_types": {
            "head": node_type(resources={"CPU": 0}, max_workers=0),
            "worker": node_type(min_workers=0, max_workers=300),
        },
        **changes,
    }
