"""The environments of the head's and the workers' tasks."""

import json

import pytest

from tests.yellowdog_ray.config.test_bootstrap import run
from yellowdog_ray.config.environment import head_environment, head_task_script, worker_environment
from yellowdog_ray.config.models import parse_provider


def head_of(config, tmp_path, *, v2=True):
    """The environment of the head's task."""
    settings = parse_provider(run(config, tmp_path)["provider"], "cluster.yaml")
    return head_environment("head-1", {"ray-user-node-type": "head"}, "ydid:workreq:1", settings, v2=v2)


class TestEnvironments:
    TAGS = {"ray-node-type": "worker", "ray-user-node-type": "worker"}

    def test_worker_environment_has_identity_and_head_address(self):
        environment = worker_environment("worker-1", self.TAGS, "10.0.0.1", {"CPU": 1}, {"zone": "here"})

        assert environment["RAY_CLOUD_INSTANCE_ID"] == "worker-1"
        assert environment["RAY_NODE_TYPE_NAME"] == "worker"
        assert environment["RAY_HEAD_IP"] == "10.0.0.1"
        assert json.loads(environment["RAY_OVERRIDE_RESOURCES"]) == {"CPU": 1}
        assert json.loads(environment["RAY_OVERRIDE_LABELS"]) == {"zone": "here"}
        assert json.loads(environment["RAYDOG_NODE_TAGS"]) == self.TAGS

    @pytest.mark.parametrize(("v2", "switch"), [(True, "1"), (False, "0")])
    def test_head_environment_has_autoscaler_version_and_launch_pacing(self, cluster_yaml, tmp_path, v2, switch):
        environment = head_of(cluster_yaml, tmp_path, v2=v2)

        assert environment["RAY_enable_autoscaler_v2"] == switch
        assert environment["RAY_CLOUD_INSTANCE_ID"] == "head-1"
        assert environment["RAY_NODE_TYPE_NAME"] == "head"
        assert json.loads(environment["RAY_OVERRIDE_RESOURCES"]) == {"CPU": 0}
        assert int(environment["AUTOSCALER_MAX_CONCURRENT_LAUNCHES"]) >= 1000
        assert int(environment["AUTOSCALER_MAX_LAUNCH_BATCH"]) >= 100
        assert environment["RAYDOG_WORK_REQUIREMENT_ID"] == "ydid:workreq:1"

    @pytest.mark.parametrize("restart", [False, True])
    def test_head_may_be_replaced_only_with_head_restart(self, cluster_yaml, tmp_path, restart):
        cluster_yaml["provider"]["head_restart"] = restart
        settings = parse_provider(run(cluster_yaml, tmp_path)["provider"], "cluster.yaml")

        environment = head_environment("head-1", {}, "ydid:workreq:1", settings, v2=True)

        assert environment.get("RAYDOG_HEAD_RESTART") == ("0" if restart else None)
        assert ("within_time" in head_task_script(settings)) == restart

    @pytest.mark.parametrize(
        ("workers", "v2", "tick", "loads"),
        [(250, True, 1, 250), (251, True, 2, 1_000), (None, True, 2, 1_000), (250, False, 2, 1_000)],
    )
    def test_ray_polls_more_often_in_a_small_v2_cluster(self, cluster_yaml, tmp_path, workers, v2, tick, loads):
        cluster_yaml |= {"max_workers": workers} if workers else {}
        if workers is None:
            del cluster_yaml["max_workers"]

        environment = head_of(cluster_yaml, tmp_path, v2=v2)

        assert int(environment["AUTOSCALER_UPDATE_INTERVAL_S"]) == tick
        assert int(environment["RAY_gcs_pull_resource_loads_period_milliseconds"]) == loads

    def test_raylet_connects_more_often_for_rays_own_total_time(self, cluster_yaml, tmp_path):
        head = head_of(cluster_yaml, tmp_path)
        worker = worker_environment("worker-1", self.TAGS, "10.0.0.1", {}, {})

        for environment in (head, worker):
            timeout = int(environment["RAY_raylet_client_connect_timeout_milliseconds"])
            assert timeout <= 100
            assert (
                timeout * int(environment["RAY_raylet_client_num_connect_attempts"]) == 10_000
            )  # Ray's own 10 x 1,000

    @pytest.mark.parametrize(("minutes", "seconds"), [(10, 3600), (60, 10800)])
    def test_allocate_timeout_exceeds_worker_node_build_timeout(self, cluster_yaml, tmp_path, minutes, seconds):
        cluster_yaml["provider"]["worker_node_build_timeout_minutes"] = minutes

        environment = head_of(cluster_yaml, tmp_path)

        assert int(environment["RAY_AUTOSCALER_RECONCILE_ALLOCATE_STATUS_TIMEOUT_S"]) == seconds

    def test_rays_updater_timeouts_exceed_worker_node_build_timeout(self, cluster_yaml, tmp_path):
        cluster_yaml["setup_commands"] = ["echo hello"]
        cluster_yaml["provider"]["worker_node_build_timeout_minutes"] = 40

        environment = head_of(cluster_yaml, tmp_path)

        assert int(environment["AUTOSCALER_NODE_START_WAIT_S"]) == 80 * 60
        assert int(environment["RAY_AUTOSCALER_RECONCILE_RAY_INSTALL_STATUS_TIMEOUT_S"]) > 80 * 60

    def test_node_start_wait_is_at_least_rays_own(self, cluster_yaml, tmp_path):
        cluster_yaml["setup_commands"] = ["echo hello"]
        cluster_yaml["provider"]["worker_node_build_timeout_minutes"] = 1

        assert head_of(cluster_yaml, tmp_path)["AUTOSCALER_NODE_START_WAIT_S"] == "900"
