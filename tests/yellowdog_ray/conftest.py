from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def ssh_key(tmp_path: Path) -> Path:
    key = tmp_path / "id_ed25519"
    key.write_text("not a real key\n")
    return key


@pytest.fixture
def cluster_yaml(ssh_key: Path) -> dict[str, Any]:
    """A cluster's YAML as Ray hands it to the provider, with nothing but what is needed."""
    return {
        "cluster_name": "demo",
        "max_workers": 2,
        "provider": {
            "type": "external",
            "module": "yellowdog_ray.raydog.autoscaler.RayDogNodeProvider",
            "cluster_namespace": "demo",
        },
        "auth": {"ssh_user": "yd-agent", "ssh_private_key": str(ssh_key)},
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}, "node_config": {"compute_requirement_template": "demo/local"}},
            "worker": {
                "resources": {"CPU": 1},
                "labels": {"zone": "here"},
                "max_workers": 2,
                "node_config": {"compute_requirement_template": "demo/local"},
            },
        },
        "file_mounts": {},
        "setup_commands": [],
        "head_start_ray_commands": [],
    }
