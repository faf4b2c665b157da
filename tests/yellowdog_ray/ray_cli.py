"""Ray's own commands and Ray's provider on a stepped platform, as far as they can be had without a host."""

from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result
from ray.scripts.scripts import cli
from yellowdog_client.model import TaskSearch, WorkerPoolSearch, WorkRequirementSearch

from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.provider import RayDogNodeProvider

HEAD_TAGS = {
    "ray-node-type": "head",
    "ray-user-node-type": "head",
    "ray-launch-config": "abc",
    "ray-node-name": "ray-demo-head",
    "ray-node-status": "uninitialized",
}
WORKER_TAGS = {"ray-node-type": "worker", "ray-user-node-type": "worker", "ray-node-status": "uninitialized"}


def ray(command: str, config: dict[str, Any], folder: Path, *arguments: str) -> Result:
    (folder / "cluster.yaml").write_text(yaml.safe_dump(complete(config)))
    return CliRunner().invoke(cli, [command, "cluster.yaml", *arguments])


def complete(config: dict[str, Any]) -> dict[str, Any]:
    """With the empty keys that Ray insists on."""
    lists = ("setup_commands", "head_setup_commands", "worker_setup_commands", "cluster_synced_files")
    return {**{key: [] for key in (*lists, "initialization_commands", "worker_start_ray_commands")}, **config}


def everything_on(platform: RunningPlatform) -> tuple[int, int, int]:
    client = platform.client()
    return (
        len(client.work_client.get_work_requirements(WorkRequirementSearch()).list_all()),
        len(client.worker_pool_client.get_worker_pools(WorkerPoolSearch()).list_all()),
        len(client.work_client.get_tasks(TaskSearch()).list_all()),
    )


def assert_refused(result: Result, platform: RunningPlatform, *phrases: str) -> None:
    """One clear message, an exit code, and nothing made."""
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    for phrase in phrases:
        assert phrase in result.output
    assert everything_on(platform) == (0, 0, 0)


def make_provider(config: dict[str, Any]) -> RayDogNodeProvider:
    """The provider as Ray makes it; outside the head, unless the environment says otherwise."""
    section = RayDogNodeProvider.bootstrap_config(config)["provider"]
    return RayDogNodeProvider(section, config["cluster_name"])


def create_head(provider: RayDogNodeProvider, config: dict[str, Any]) -> None:
    """Create the head as `ray up` does, without waiting for it."""
    provider.create_node(config["available_node_types"]["head"]["node_config"], HEAD_TAGS, 1)


def launch(provider: RayDogNodeProvider, count: int = 1, template: str = "demo/local") -> list[str]:
    """Launch workers as Ray's autoscaler does."""
    node_config = {"compute_requirement_template": template}
    return list(provider.create_node_with_resources_and_labels(node_config, WORKER_TAGS, count, {}, {}))
