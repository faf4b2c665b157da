"""Clusters with and without Ray's updaters, and the start commands of each."""

import json

import jsonschema
import pytest

from tests.yellowdog_ray.config.test_bootstrap import RAY_SCHEMA
from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.environment import head_environment
from yellowdog_ray.config.models import parse_provider
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.scripts import in_task_environment, wait_for_ray_command, wait_for_raylet_command

HEADS_OWN = ["ray stop", "ray start --head --port=6379 --autoscaling-config=~/ray_bootstrap_config.yaml"]
WORKERS_OWN = ["ray stop", "ulimit -n 65536; ray start --address=$RAY_HEAD_IP:6379"]
SCRIPT = "#!/bin/bash\n# not ray start\nray start --address=$RAY_HEAD_IP:6379 --block\n"
WAITING_SCRIPT = SCRIPT.replace("# not", 'until [ -f "$YD_AGENT_HOME/.raydog/set-up" ]; do sleep 1; done\n# not')


def run(config, tmp_path):
    result, _ = bootstrap(config, "cluster.yaml", [tmp_path])
    jsonschema.validate(result, RAY_SCHEMA)
    assert bootstrap(result, "cluster.yaml", [tmp_path]) == (result, []), "bootstrapping a result changes nothing"
    return result


def settings_of(result):
    return parse_provider(result["provider"], "cluster.yaml")


def environment_of_head(result):
    return head_environment("head-1", {}, "ydid:workreq:1", settings_of(result), v2=True)


class TestWithoutUpdaters:
    def test_tasks_start_ray_at_once_without_set_up(self, cluster_yaml, tmp_path):
        result = run(cluster_yaml, tmp_path)

        assert result["provider"]["disable_node_updaters"] is True
        assert result["head_start_ray_commands"] == [wait_for_ray_command()]
        assert not result.get("worker_start_ray_commands")
        assert not [name for name in environment_of_head(result) if "UPDATER" in name or "START_WAIT" in name]

    def test_workers_have_no_updaters_when_only_the_head_has_set_up(self, cluster_yaml, tmp_path):
        cluster_yaml["head_setup_commands"] = ["echo hello"]

        result = run(cluster_yaml, tmp_path)

        assert result["provider"]["disable_node_updaters"] is True
        assert environment_of_head(result)["RAYDOG_UPDATER"] == "sets-up"
        assert settings_of(result).internal.worker_updater == ""


class TestWithUpdaters:
    @pytest.mark.parametrize(
        "key", ["setup_commands", "worker_setup_commands", "initialization_commands", "cluster_synced_files"]
    )
    def test_updaters_run_before_ray_with_set_up_keys(self, cluster_yaml, tmp_path, key):
        cluster_yaml[key] = ["~/a" if key.endswith("files") else "echo hello"]

        result = run(cluster_yaml, tmp_path)

        assert result["provider"]["disable_node_updaters"] is False
        assert result["worker_start_ray_commands"] == [wait_for_raylet_command()]
        assert settings_of(result).internal.worker_updater == "sets-up"

    def test_updaters_run_with_file_mounts(self, cluster_yaml, tmp_path):
        (tmp_path / "b").write_text("x")
        cluster_yaml["file_mounts"] = {"~/a": "b"}

        assert run(cluster_yaml, tmp_path)["provider"]["disable_node_updaters"] is False

    @pytest.mark.parametrize("key", ["worker_setup_commands", "initialization_commands"])
    def test_updaters_run_when_one_node_type_has_set_up(self, cluster_yaml, tmp_path, key):
        cluster_yaml["available_node_types"]["worker"][key] = ["echo hello"]

        assert run(cluster_yaml, tmp_path)["provider"]["disable_node_updaters"] is False

    def test_start_commands_without_ray_start_run_before_ray(self, cluster_yaml, tmp_path):
        cluster_yaml["worker_start_ray_commands"] = ["echo hello  # no ray start here"]

        result = run(cluster_yaml, tmp_path)

        assert result["worker_start_ray_commands"] == ["echo hello  # no ray start here", wait_for_raylet_command()]
        assert settings_of(result).internal.worker_updater == "sets-up"

    def test_disable_node_updaters_with_set_up_keys_gives_a_warning(self, cluster_yaml, tmp_path):
        cluster_yaml["worker_setup_commands"] = ["echo hello"]
        cluster_yaml["provider"]["disable_node_updaters"] = True

        result, (warning,) = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert "cluster.yaml: provider.disable_node_updaters is true" in warning
        assert "worker_setup_commands" in warning
        assert settings_of(result).internal.worker_updater == ""


class TestStartCommands:
    def test_start_commands_run_in_the_tasks_environment_with_default_scripts(self, cluster_yaml, tmp_path):
        cluster_yaml |= {"head_start_ray_commands": HEADS_OWN, "worker_start_ray_commands": WORKERS_OWN}

        result = run(cluster_yaml, tmp_path)

        assert result["head_start_ray_commands"] == [in_task_environment(command) for command in HEADS_OWN]
        assert result["worker_start_ray_commands"] == [in_task_environment(command) for command in WORKERS_OWN]
        assert environment_of_head(result)["RAYDOG_UPDATER"] == "starts-ray"
        assert settings_of(result).internal.worker_updater == "starts-ray"

    def test_start_commands_stay_unchanged_with_a_script_that_does_not_start_ray(self, cluster_yaml, tmp_path):
        cluster_yaml["worker_start_ray_commands"] = WORKERS_OWN
        cluster_yaml["provider"]["ray_worker_node_task_script"] = "sleep infinity\n"

        assert run(cluster_yaml, tmp_path)["worker_start_ray_commands"] == WORKERS_OWN

    @pytest.mark.parametrize(("kind", "commands"), [("head", HEADS_OWN), ("worker", WORKERS_OWN)])
    def test_ray_start_in_script_and_commands_is_refused(self, cluster_yaml, tmp_path, kind, commands):
        cluster_yaml[f"{kind}_start_ray_commands"] = commands
        cluster_yaml["provider"][f"ray_{kind}_node_task_script"] = SCRIPT

        with pytest.raises(ConfigError) as caught:
            bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert str(caught.value).startswith(
            f"cluster.yaml: {kind}_start_ray_commands and provider.ray_{kind}_node_task_script both start Ray"
        )

    def test_set_up_keys_work_with_a_script_that_starts_ray(self, cluster_yaml, tmp_path):
        cluster_yaml["setup_commands"] = ["echo hello"]
        cluster_yaml["provider"]["ray_worker_node_task_script"] = WAITING_SCRIPT

        result = run(cluster_yaml, tmp_path)

        assert result["provider"]["ray_worker_node_task_script"] == WAITING_SCRIPT
        assert result["worker_start_ray_commands"] == [wait_for_raylet_command()]


class TestScriptsThatDoNotWait:
    @pytest.mark.parametrize(
        ("kind", "key", "value"),
        [("worker", "file_mounts", {"~/data": "data"}), ("head", "head_setup_commands", ["echo hello"])],
    )
    def test_script_that_starts_ray_before_the_set_up_ends_gives_a_warning(
        self, cluster_yaml, tmp_path, kind, key, value
    ):
        (tmp_path / "data").touch()
        cluster_yaml[key] = value
        cluster_yaml["provider"][f"ray_{kind}_node_task_script"] = SCRIPT

        _, (warning,) = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert warning.startswith(
            f"cluster.yaml: provider.ray_{kind}_node_task_script does not wait for the set-up over SSH ({key}), so "
        )

    @pytest.mark.parametrize("kind", ["head", "worker"])
    def test_script_gets_no_warning_without_set_up(self, cluster_yaml, tmp_path, kind):
        cluster_yaml["provider"][f"ray_{kind}_node_task_script"] = SCRIPT

        assert bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])[1] == []

    def test_script_of_the_head_gets_no_warning_for_files_that_arrive_before_its_key(self, cluster_yaml, tmp_path):
        (tmp_path / "data").touch()
        cluster_yaml["file_mounts"] = {"~/data": "data"}
        cluster_yaml["provider"]["ray_head_node_task_script"] = SCRIPT

        assert bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])[1] == []


def test_bootstrap_is_deterministic_with_updaters(cluster_yaml, tmp_path):
    cluster_yaml["setup_commands"] = ["echo hello"]

    assert json.dumps(run(cluster_yaml, tmp_path)) == json.dumps(run(cluster_yaml, tmp_path))
