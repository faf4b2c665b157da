"""Ray's face of RayDog, by Ray's own commands where they can be had without a host."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from ray.scripts.scripts import cli
from yellowdog_client.model import (
    TaskSearch,
    WorkerPoolSearch,
    WorkRequirement,
    WorkRequirementSearch,
    WorkRequirementStatus,
)

from yellowdog_local.testing import RunningPlatform, local_platform

HEAD_TAGS = {
    "ray-node-type": "head",
    "ray-user-node-type": "head",
    "ray-launch-config": "abc",
    "ray-node-name": "ray-demo-head",
    "ray-node-status": "uninitialized",
}


@pytest.fixture
def platform() -> Iterator[RunningPlatform]:
    with local_platform() as platform:
        yield platform


@pytest.fixture
def in_a_users_folder(platform: RunningPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a user who has a good key."""
    for name in ("RAYDOG_ON_HEAD", "RAYDOG_WORK_REQUIREMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("YD_API_URL", platform.url)
    monkeypatch.setenv("YD_API_KEY_ID", platform.key_id)
    monkeypatch.setenv("YD_API_KEY_SECRET", platform.key_secret)
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


class TestBadInput:
    def test_a_wrong_key(self, platform, in_a_users_folder, cluster_yaml, monkeypatch):
        monkeypatch.setenv("YD_API_KEY_SECRET", "wrong")

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "API key", "YD_API_KEY_ID")

    def test_a_missing_key(self, platform, in_a_users_folder, cluster_yaml, monkeypatch):
        monkeypatch.delenv("YD_API_KEY_SECRET")

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "YD_API_KEY_SECRET not set", ".env")

    @pytest.mark.parametrize("node_type", ["head", "worker"])
    def test_a_template_that_the_platform_does_not_have(self, platform, in_a_users_folder, cluster_yaml, node_type):
        node_config = cluster_yaml["available_node_types"][node_type]["node_config"]
        node_config["compute_requirement_template"] = "demo/nothing"

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        key = f"available_node_types.{node_type}.node_config.compute_requirement_template"
        assert_refused(result, platform, f"cluster.yaml: {key}", "'demo/nothing'")

    def test_an_unknown_key(self, platform, in_a_users_folder, cluster_yaml):
        cluster_yaml["provider"]["cluster_tags"] = "x"

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "cluster.yaml: provider.cluster_tags", "did you mean `cluster_tag`?")

    def test_a_missing_file(self, platform, in_a_users_folder, cluster_yaml):
        cluster_yaml["provider"]["ray_head_node_task_script"] = "file:no.sh"

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "cluster.yaml: provider.ray_head_node_task_script", "no.sh")

    def test_a_platform_that_is_not_there(self, platform, in_a_users_folder, cluster_yaml, monkeypatch):
        monkeypatch.setenv("YD_API_URL", "http://127.0.0.1:9")

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "127.0.0.1", "YD_API_URL")

    def test_a_work_requirement_of_that_name_that_is_no_cluster_is_left_alone(
        self, platform, in_a_users_folder, cluster_yaml
    ):
        work = platform.client().work_client
        other = work.add_work_requirement(WorkRequirement(namespace="demo", name=cluster_yaml["cluster_name"]))

        up = ray("up", cluster_yaml, in_a_users_folder, "-y")
        down = ray("down", cluster_yaml, in_a_users_folder, "-y")

        for result in (up, down):
            assert result.exit_code == 1, result.output
            assert "is not a RayDog cluster" in result.output
        assert work.get_work_requirement_by_id(str(other.id)).status is WorkRequirementStatus.RUNNING
