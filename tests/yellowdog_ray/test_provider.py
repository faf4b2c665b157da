"""Ray's face of RayDog: each error of the provider reaches the user, or Ray, in the form that suits it."""

from pathlib import Path

import pytest
from ray.autoscaler.node_launch_exception import NodeLaunchException
from yellowdog_client.model import RunSpecification, TaskGroup, WorkRequirement, WorkRequirementStatus

from tests.yellowdog_ray.ray_cli import assert_refused, create_head, launch, make_provider, ray


class TestRayUp:
    def test_ray_up_fails_when_key_is_wrong(self, platform, in_a_users_folder, cluster_yaml, monkeypatch):
        monkeypatch.setenv("YD_API_KEY_SECRET", "wrong")

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "API key", "YD_API_KEY_ID")

    def test_ray_up_fails_when_key_is_missing(self, platform, in_a_users_folder, cluster_yaml, monkeypatch):
        monkeypatch.delenv("YD_API_KEY_SECRET")

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "YD_API_KEY_SECRET not set", ".env")

    @pytest.mark.parametrize("node_type", ["head", "worker"])
    def test_ray_up_fails_when_template_is_unknown(self, platform, in_a_users_folder, cluster_yaml, node_type):
        node_config = cluster_yaml["available_node_types"][node_type]["node_config"]
        node_config["compute_requirement_template"] = "demo/nothing"

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        key = f"available_node_types.{node_type}.node_config.compute_requirement_template"
        assert_refused(result, platform, f"cluster.yaml: {key}", "'demo/nothing'")

    def test_ray_up_fails_when_min_workers_exceed_max_workers_in_sum(self, platform, in_a_users_folder, cluster_yaml):
        node_types = cluster_yaml["available_node_types"]
        node_types["worker"]["min_workers"] = 1
        node_types["other"] = {**node_types["worker"], "min_workers": 2}

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(
            result,
            platform,
            "cluster.yaml: max_workers: min_workers of all node types are 3 in sum, above max_workers (2)",
        )
        assert result.exception is None or isinstance(result.exception, SystemExit)

    def test_ray_up_fails_when_yaml_key_is_unknown(self, platform, in_a_users_folder, cluster_yaml):
        cluster_yaml["provider"]["cluster_tags"] = "x"

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "cluster.yaml: provider.cluster_tags", "did you mean `cluster_tag`?")

    def test_ray_up_fails_when_script_file_is_missing(self, platform, in_a_users_folder, cluster_yaml):
        cluster_yaml["provider"]["ray_head_node_task_script"] = "file:no.sh"

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "cluster.yaml: provider.ray_head_node_task_script", "no.sh")

    @pytest.mark.parametrize("mistake", ["file_mounts", "files_to_upload", "ssh_private_key", "docker", "max_workers"])
    def test_ray_up_creates_nothing_with_a_local_mistake(self, platform, in_a_users_folder, cluster_yaml, mistake):
        if mistake == "file_mounts":
            cluster_yaml["file_mounts"] = {"~/data": "no/data"}
        elif mistake == "files_to_upload":
            cluster_yaml["provider"]["files_to_upload"] = ["no.txt"]
        elif mistake == "ssh_private_key":
            Path(cluster_yaml["auth"]["ssh_private_key"]).chmod(0o644)
        elif mistake == "docker":
            cluster_yaml["docker"] = {"image": "rayproject/ray", "container_name": "ray"}
        else:
            cluster_yaml["available_node_types"]["worker"]["max_workers"] = -1

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "cluster.yaml: ", mistake)

    def test_ray_down_ends_the_cluster_when_local_files_are_missing(self, platform, in_a_users_folder, cluster_yaml):
        create_head(make_provider(cluster_yaml), cluster_yaml)
        Path(cluster_yaml["auth"]["ssh_private_key"]).unlink()
        cluster_yaml["provider"]["ray_head_node_task_script"] = "file:no.sh"
        cluster_yaml["file_mounts"] = {"~/data": "no/data"}

        result = ray("down", cluster_yaml, in_a_users_folder, "-y")

        assert result.exit_code == 0, result.output
        assert "nothing is left of cluster 'demo'" in result.output

    def test_ray_down_ends_the_cluster_when_min_workers_exceed_max_workers_in_sum(
        self, platform, in_a_users_folder, cluster_yaml
    ):
        create_head(make_provider(cluster_yaml), cluster_yaml)
        cluster_yaml["max_workers"] = 1
        cluster_yaml["available_node_types"]["worker"]["min_workers"] = 2

        result = ray("down", cluster_yaml, in_a_users_folder, "-y")

        assert result.exit_code == 0, result.output
        assert "nothing is left of cluster 'demo'" in result.output

    def test_ray_up_fails_when_platform_is_unreachable(self, platform, in_a_users_folder, cluster_yaml, monkeypatch):
        monkeypatch.setenv("YD_API_URL", "http://127.0.0.1:9")
        monkeypatch.setattr("yellowdog_ray.commands.laptop_side.RETRY_SECONDS", 0.1)

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "127.0.0.1", "YD_API_URL")

    @pytest.mark.parametrize("worker_tag", [None, "demo-head-mine", "another-head-0123abcd"])
    def test_ray_up_and_ray_down_change_no_foreign_work_requirement(
        self, platform, in_a_users_folder, cluster_yaml, worker_tag, monkeypatch
    ):
        monkeypatch.setattr(
            "yellowdog_ray.commands.teardown.TEARDOWN_TIMEOUT_SECONDS", 0.0
        )  # should they begin, they wait for nothing
        cluster_yaml["provider"]["head_node_build_timeout_minutes"] = 0.01
        work = platform.client().work_client
        groups = [TaskGroup(name="head", runSpecification=RunSpecification(["bash"], workerTags=[worker_tag]))]
        other = work.add_work_requirement(
            WorkRequirement(
                namespace="demo", name=cluster_yaml["cluster_name"], taskGroups=groups if worker_tag else None
            )
        )

        up = ray("up", cluster_yaml, in_a_users_folder, "-y")
        down = ray("down", cluster_yaml, in_a_users_folder, "-y")

        for result in (up, down):
            assert result.exit_code == 1, result.output
            assert "is not a RayDog cluster" in result.output
        assert work.get_work_requirement_by_id(str(other.id)).status is WorkRequirementStatus.RUNNING


def test_constructor_makes_no_platform_call(platform, in_a_users_folder, cluster_yaml, calls):
    assert calls.during(lambda: make_provider(cluster_yaml)) == []


def test_failed_launch_raises_node_launch_exception_with_short_category(platform, head_provider, caplog):
    head_provider.non_terminated_nodes({})

    with pytest.raises(NodeLaunchException) as caught:
        launch(head_provider, 1, "demo/gone")

    assert caught.value.category == "NotFound"
    assert len(caught.value.category) < 20
    assert "demo/gone" in caught.value.description
    (message,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "NotFound" in message
    assert "demo/gone" in message
