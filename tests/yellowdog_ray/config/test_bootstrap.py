import copy
import json
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler

from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.environment import head_environment, worker_environment
from yellowdog_ray.config.models import parse_provider
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.scripts import HEAD_SCRIPT, WORKER_SCRIPT

RAY_SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


def run(config, tmp_path):
    return bootstrap(config, "cluster.yaml", [tmp_path])[0]


def error_of(config, tmp_path):
    with pytest.raises(ConfigError) as caught:
        run(config, tmp_path)
    return str(caught.value)


class TestWhatIsFilledIn:
    def test_the_result_passes_rays_schema(self, cluster_yaml, tmp_path):
        jsonschema.validate(run(cluster_yaml, tmp_path), RAY_SCHEMA)

    def test_bootstrapping_a_result_again_changes_nothing(self, cluster_yaml, tmp_path):
        once = run(cluster_yaml, tmp_path)

        assert run(once, tmp_path) == once

    def test_the_users_configuration_is_left_as_it_was(self, cluster_yaml, tmp_path):
        before = copy.deepcopy(cluster_yaml)

        run(cluster_yaml, tmp_path)

        assert cluster_yaml == before

    def test_two_runs_give_the_same_text(self, cluster_yaml, tmp_path):
        assert json.dumps(run(cluster_yaml, tmp_path)) == json.dumps(run(cluster_yaml, tmp_path))

    def test_ray_gets_the_settings_that_an_outside_provider_needs(self, cluster_yaml, tmp_path):
        result = run(cluster_yaml, tmp_path)

        assert result["provider"]["disable_node_updaters"] is True
        assert result["provider"]["disable_launch_config_check"] is True
        assert result["provider"]["foreground_node_launch"] is True
        assert result["upscaling_speed"] >= 1000

    def test_what_the_user_has_set_stays(self, cluster_yaml, tmp_path):
        cluster_yaml["upscaling_speed"] = 2
        cluster_yaml["provider"]["disable_node_updaters"] = False

        result = run(cluster_yaml, tmp_path)

        assert result["upscaling_speed"] == 2
        assert result["provider"]["disable_node_updaters"] is False

    def test_absent_task_scripts_get_good_ones(self, cluster_yaml, tmp_path):
        provider = run(cluster_yaml, tmp_path)["provider"]

        assert provider["ray_head_node_task_script"] == HEAD_SCRIPT
        assert provider["ray_worker_node_task_script"] == WORKER_SCRIPT

    def test_the_key_path_is_expanded_since_ray_passes_it_on_without_a_shell(self, cluster_yaml, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        cluster_yaml["auth"]["ssh_private_key"] = "~/id_ed25519"

        assert run(cluster_yaml, tmp_path)["auth"]["ssh_private_key"] == str(tmp_path / "id_ed25519")

    def test_auth_under_provider_alone_is_enough(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["auth"] = cluster_yaml.pop("auth")

        result = run(cluster_yaml, tmp_path)

        assert result["auth"]["ssh_user"] == "yd-agent"
        assert result["auth"] == result["provider"]["auth"]

    def test_auth_written_twice_is_accepted(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["auth"] = dict(cluster_yaml["auth"])

        assert run(cluster_yaml, tmp_path)["auth"]["ssh_user"] == "yd-agent"


class TestFiles:
    def test_file_references_are_inlined(self, cluster_yaml, tmp_path):
        (tmp_path / "setup.sh").write_text("echo setup\n")
        (tmp_path / "worker.sh").write_text("echo worker\n")
        node_config = cluster_yaml["available_node_types"]["worker"]["node_config"]
        node_config["userdata"] = "file:setup.sh"
        cluster_yaml["provider"]["ray_worker_node_task_script"] = f"file:{tmp_path}/worker.sh"

        result = run(cluster_yaml, tmp_path)

        assert result["available_node_types"]["worker"]["node_config"]["userdata"] == "echo setup\n"
        assert result["provider"]["ray_worker_node_task_script"] == "echo worker\n"

    def test_the_first_folder_that_has_the_file_counts(self, cluster_yaml, tmp_path):
        first, second = tmp_path / "first", tmp_path / "second"
        for folder in (first, second):
            folder.mkdir()
            (folder / "head.sh").write_text(f"echo {folder.name}\n")
        cluster_yaml["provider"]["ray_head_node_task_script"] = "file:head.sh"

        result, _ = bootstrap(cluster_yaml, "cluster.yaml", [first, second])

        assert result["provider"]["ray_head_node_task_script"] == "echo first\n"

    def test_a_missing_file_is_named_with_its_key_and_where_it_was_looked_for(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["ray_head_node_task_script"] = "file:no.sh"

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: provider.ray_head_node_task_script" in message
        assert str(tmp_path / "no.sh") in message


class TestBadInput:
    @pytest.mark.parametrize("name", ["Demo", "demo.x", "d" * 61])
    def test_a_cluster_name_that_yellowdog_refuses(self, cluster_yaml, tmp_path, name):
        cluster_yaml["cluster_name"] = name

        message = error_of(cluster_yaml, tmp_path)

        assert message.startswith(f"cluster.yaml: cluster_name '{name}'")
        assert "at most 60 lower-case letters" in message

    def test_an_unknown_provider_key_is_named_with_the_nearest_known_one(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["cluster_lifetime_hour"] = 2

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: provider.cluster_lifetime_hour is not a key" in message
        assert "did you mean `cluster_lifetime_hours`?" in message

    def test_an_unknown_node_config_key_is_named_with_its_node_type(self, cluster_yaml, tmp_path):
        cluster_yaml["available_node_types"]["worker"]["node_config"]["user_data"] = "x"

        message = error_of(cluster_yaml, tmp_path)

        assert "available_node_types.worker.node_config.user_data" in message
        assert "did you mean `userdata`?" in message

    @pytest.mark.parametrize("hours", ["soon", 0, -1, None, float("inf")])
    def test_a_lifetime_that_is_no_number_above_zero(self, cluster_yaml, tmp_path, hours):
        cluster_yaml["provider"]["cluster_lifetime_hours"] = hours

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: provider.cluster_lifetime_hours" in message
        assert "give a number of hours above 0" in message

    def test_a_missing_namespace(self, cluster_yaml, tmp_path):
        del cluster_yaml["provider"]["cluster_namespace"]

        assert "provider.cluster_namespace is missing: name the" in error_of(cluster_yaml, tmp_path)

    def test_a_missing_template(self, cluster_yaml, tmp_path):
        cluster_yaml["available_node_types"]["head"]["node_config"] = {}

        message = error_of(cluster_yaml, tmp_path)

        assert "available_node_types.head.node_config.compute_requirement_template is missing" in message
        assert "`namespace/name`" in message

    def test_a_template_that_is_neither_an_id_nor_a_namespace_and_a_name(self, cluster_yaml, tmp_path):
        cluster_yaml["available_node_types"]["head"]["node_config"]["compute_requirement_template"] = "local"

        message = error_of(cluster_yaml, tmp_path)

        assert "available_node_types.head.node_config.compute_requirement_template: 'local' is neither" in message

    def test_an_ssh_key_file_that_is_not_there(self, cluster_yaml, tmp_path):
        cluster_yaml["auth"]["ssh_private_key"] = "/no/such/key"

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: auth.ssh_private_key: there is no file /no/such/key" in message
        assert "ssh-keygen" in message

    def test_no_ssh_key_at_all(self, cluster_yaml, tmp_path):
        del cluster_yaml["auth"]["ssh_private_key"]

        assert "auth.ssh_private_key is missing" in error_of(cluster_yaml, tmp_path)

    def test_node_ids_for_a_proxy_that_is_not_there(self, cluster_yaml, tmp_path):
        cluster_yaml["auth"]["ssh_proxy_use_node_id"] = True

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: auth.ssh_proxy_use_node_id needs auth.ssh_proxy_command" in message

    def test_several_mistakes_are_told_at_once(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"] |= {"cluster_namespace": "Bad Name", "head_node_tag_server_port": 0, "typo": 1}

        lines = error_of(cluster_yaml, tmp_path).splitlines()

        assert len(lines) == 3
        assert all(line.startswith("cluster.yaml: provider.") for line in lines)

    def test_a_head_node_type_that_is_not_listed(self, cluster_yaml, tmp_path):
        cluster_yaml["head_node_type"] = "boss"

        assert "head_node_type 'boss' is not one of available_node_types (head, worker)" in error_of(
            cluster_yaml, tmp_path
        )

    def test_more_task_groups_than_yellowdog_allows_are_refused_at_once(self, cluster_yaml, tmp_path):
        cluster_yaml["available_node_types"]["worker"]["max_workers"] = 10_000_000

        with pytest.raises(ConfigError, match="need 1002 task groups, and YellowDog allows 1000"):
            bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

    def test_the_api_key_in_the_heads_task_gets_a_warning(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["api_key_in_head_task"] = True

        _, (warning,) = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert "everybody who may see the task can read it" in warning

    def test_start_commands_that_stop_ray_get_a_warning(self, cluster_yaml, tmp_path):
        cluster_yaml["head_start_ray_commands"] = ["ray stop"]

        _, (warning,) = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert "head_start_ray_commands run `ray stop`, at every `ray up`" in warning

    def test_a_script_whose_tag_port_differs_gets_a_warning(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["ray_head_node_task_script"] = "valkey-server --bind 0.0.0.0 --port 7777 &\n"

        _, warnings = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert len(warnings) == 1
        assert "is 16667, but ray_head_node_task_script starts the tag server on port 7777" in warnings[0]

    def test_a_script_with_the_same_tag_port_gets_none(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["ray_head_node_task_script"] = "redis-server --port=16667\n"

        assert bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])[1] == []


class TestTaskEnvironments:
    TAGS = {"ray-node-type": "worker", "ray-user-node-type": "worker"}

    def test_a_worker_knows_who_it_is_and_where_the_head_is(self):
        environment = worker_environment("worker-1", self.TAGS, "10.0.0.1", {"CPU": 1}, {"zone": "here"})

        assert environment["RAY_CLOUD_INSTANCE_ID"] == "worker-1"
        assert environment["RAY_NODE_TYPE_NAME"] == "worker"
        assert environment["RAY_HEAD_IP"] == "10.0.0.1"
        assert json.loads(environment["RAY_OVERRIDE_RESOURCES"]) == {"CPU": 1}
        assert json.loads(environment["RAY_OVERRIDE_LABELS"]) == {"zone": "here"}
        assert json.loads(environment["RAYDOG_NODE_TAGS"]) == self.TAGS

    @pytest.mark.parametrize(("v2", "switch"), [(True, "1"), (False, "0")])
    def test_the_head_is_told_which_autoscaler_runs_and_how_fast_it_may_launch(
        self, cluster_yaml, tmp_path, v2, switch
    ):
        settings = parse_provider(run(cluster_yaml, tmp_path)["provider"], "cluster.yaml")

        environment = head_environment("head-1", {"ray-user-node-type": "head"}, "ydid:workreq:1", settings, v2=v2)

        assert environment["RAY_enable_autoscaler_v2"] == switch
        assert environment["RAY_CLOUD_INSTANCE_ID"] == "head-1"
        assert environment["RAY_NODE_TYPE_NAME"] == "head"
        assert json.loads(environment["RAY_OVERRIDE_RESOURCES"]) == {"CPU": 0}
        assert int(environment["AUTOSCALER_MAX_CONCURRENT_LAUNCHES"]) >= 1000
        assert int(environment["AUTOSCALER_MAX_LAUNCH_BATCH"]) >= 100
        assert environment["RAYDOG_WORK_REQUIREMENT_ID"] == "ydid:workreq:1"

    @pytest.mark.parametrize(
        ("workers", "v2", "tick", "loads"),
        [(250, True, 1, 250), (251, True, 2, 1_000), (None, True, 2, 1_000), (250, False, 2, 1_000)],
    )
    def test_ray_looks_at_a_small_cluster_more_often(self, cluster_yaml, tmp_path, workers, v2, tick, loads):
        cluster_yaml["max_workers"] = workers
        settings = parse_provider(run(cluster_yaml, tmp_path)["provider"], "cluster.yaml")

        environment = head_environment("head-1", {}, "ydid:workreq:1", settings, v2=v2)

        assert int(environment["AUTOSCALER_UPDATE_INTERVAL_S"]) == tick
        assert int(environment["RAY_gcs_pull_resource_loads_period_milliseconds"]) == loads

    def test_ray_looks_for_its_own_sockets_more_often_and_for_as_long(self, cluster_yaml, tmp_path):
        settings = parse_provider(run(cluster_yaml, tmp_path)["provider"], "cluster.yaml")
        head = head_environment("head-1", {}, "ydid:workreq:1", settings, v2=True)
        worker = worker_environment("worker-1", self.TAGS, "10.0.0.1", {}, {})

        for environment in (head, worker):
            pause = int(environment["RAY_raylet_client_connect_timeout_milliseconds"])
            assert pause <= 100
            assert pause * int(environment["RAY_raylet_client_num_connect_attempts"]) == 10_000  # Ray's own 10 x 1,000

    @pytest.mark.parametrize(("minutes", "seconds"), [(10, 3600), (60, 10800)])
    def test_ray_waits_longer_for_a_worker_than_we_do(self, cluster_yaml, tmp_path, minutes, seconds):
        cluster_yaml["provider"]["worker_node_build_timeout_minutes"] = minutes
        settings = parse_provider(run(cluster_yaml, tmp_path)["provider"], "cluster.yaml")

        environment = head_environment("head-1", {}, "ydid:workreq:1", settings, v2=True)

        assert int(environment["RAY_AUTOSCALER_RECONCILE_ALLOCATE_STATUS_TIMEOUT_S"]) == seconds
