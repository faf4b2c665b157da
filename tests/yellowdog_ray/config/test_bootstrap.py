"""`bootstrap_config`: a YAML is checked and completed, or refused with one message per mistake."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler

from yellowdog_ray.config.bootstrap import bootstrap
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


class TestBootstrap:
    def test_result_passes_rays_schema(self, cluster_yaml, tmp_path):
        jsonschema.validate(run(cluster_yaml, tmp_path), RAY_SCHEMA)

    def test_bootstrap_is_idempotent(self, cluster_yaml, tmp_path):
        once = run(cluster_yaml, tmp_path)

        assert run(once, tmp_path) == once

    def test_bootstrap_leaves_its_argument_unchanged(self, cluster_yaml, tmp_path):
        before = copy.deepcopy(cluster_yaml)

        run(cluster_yaml, tmp_path)

        assert cluster_yaml == before

    def test_bootstrap_is_deterministic(self, cluster_yaml, tmp_path):
        assert json.dumps(run(cluster_yaml, tmp_path)) == json.dumps(run(cluster_yaml, tmp_path))

    def test_result_has_rays_settings_for_an_external_provider(self, cluster_yaml, tmp_path):
        result = run(cluster_yaml, tmp_path)

        assert result["provider"]["disable_node_updaters"] is True
        assert result["provider"]["disable_launch_config_check"] is True
        assert result["provider"]["foreground_node_launch"] is True
        assert result["upscaling_speed"] >= 1000

    def test_idle_workers_end_without_a_key_or_a_value_for_it(self, cluster_yaml, tmp_path):
        cluster_yaml.pop("idle_timeout_minutes", None)
        assert run(cluster_yaml, tmp_path)["idle_timeout_minutes"] == 5

        cluster_yaml["idle_timeout_minutes"] = None
        assert run(cluster_yaml, tmp_path)["idle_timeout_minutes"] == 5

    def test_result_keeps_the_users_settings(self, cluster_yaml, tmp_path):
        cluster_yaml["upscaling_speed"] = 2
        cluster_yaml["provider"]["disable_node_updaters"] = False

        result = run(cluster_yaml, tmp_path)

        assert result["upscaling_speed"] == 2
        assert result["provider"]["disable_node_updaters"] is False

    def test_result_has_default_task_scripts_when_absent(self, cluster_yaml, tmp_path):
        provider = run(cluster_yaml, tmp_path)["provider"]

        assert provider["ray_head_node_task_script"] == HEAD_SCRIPT
        assert provider["ray_worker_node_task_script"] == WORKER_SCRIPT


class TestFileReferences:
    def test_file_references_are_inlined(self, cluster_yaml, tmp_path):
        (tmp_path / "setup.sh").write_text("echo setup\n")
        (tmp_path / "worker.sh").write_text("echo worker\n")
        node_config = cluster_yaml["available_node_types"]["worker"]["node_config"]
        node_config["userdata"] = "file:setup.sh"
        cluster_yaml["provider"]["ray_worker_node_task_script"] = f"file:{tmp_path}/worker.sh"

        result = run(cluster_yaml, tmp_path)

        assert result["available_node_types"]["worker"]["node_config"]["userdata"] == "echo setup\n"
        assert result["provider"]["ray_worker_node_task_script"] == "echo worker\n"

    def test_file_is_read_from_the_first_folder_that_has_it(self, cluster_yaml, tmp_path):
        first, second = tmp_path / "first", tmp_path / "second"
        for folder in (first, second):
            folder.mkdir()
            (folder / "head.sh").write_text(f"echo {folder.name}\n")
        cluster_yaml["provider"]["ray_head_node_task_script"] = "file:head.sh"

        result, _ = bootstrap(cluster_yaml, "cluster.yaml", [first, second])

        assert result["provider"]["ray_head_node_task_script"] == "echo first\n"

    def test_missing_file_is_reported_with_key_and_path(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["ray_head_node_task_script"] = "file:no.sh"

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: provider.ray_head_node_task_script" in message
        assert str(tmp_path / "no.sh") in message


class TestErrors:
    @pytest.mark.parametrize("name", ["Demo", "demo.x", "d" * 61])
    def test_invalid_cluster_name_is_refused(self, cluster_yaml, tmp_path, name):
        cluster_yaml["cluster_name"] = name

        message = error_of(cluster_yaml, tmp_path)

        assert message.startswith(f"cluster.yaml: cluster_name '{name}'")
        assert "at most 60 lower-case letters" in message

    def test_unknown_provider_key_is_reported_with_the_nearest_known_key(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["cluster_lifetime_hour"] = 2

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: provider.cluster_lifetime_hour is not a key" in message
        assert "did you mean `cluster_lifetime_hours`?" in message

    def test_unknown_node_config_key_is_reported_with_its_node_type(self, cluster_yaml, tmp_path):
        cluster_yaml["available_node_types"]["worker"]["node_config"]["user_data"] = "x"

        message = error_of(cluster_yaml, tmp_path)

        assert "available_node_types.worker.node_config.user_data" in message
        assert "did you mean `userdata`?" in message

    @pytest.mark.parametrize("hours", ["soon", True, 0, 1e-9, -1, None, float("inf"), float("nan"), 1e8, 1e13])
    def test_lifetime_is_refused_unless_positive_and_finite(self, cluster_yaml, tmp_path, hours):
        cluster_yaml["provider"]["cluster_lifetime_hours"] = hours

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: provider.cluster_lifetime_hours" in message
        assert "give a number of hours from 0.01 to 87,600" in message

    def test_missing_namespace_is_refused(self, cluster_yaml, tmp_path):
        del cluster_yaml["provider"]["cluster_namespace"]

        assert "provider.cluster_namespace is missing: name the" in error_of(cluster_yaml, tmp_path)

    def test_missing_template_is_refused(self, cluster_yaml, tmp_path):
        cluster_yaml["available_node_types"]["head"]["node_config"] = {}

        message = error_of(cluster_yaml, tmp_path)

        assert "available_node_types.head.node_config.compute_requirement_template is missing" in message
        assert "`namespace/name`" in message

    def test_template_is_refused_unless_id_or_namespace_and_name(self, cluster_yaml, tmp_path):
        cluster_yaml["available_node_types"]["head"]["node_config"]["compute_requirement_template"] = "local"

        message = error_of(cluster_yaml, tmp_path)

        assert "available_node_types.head.node_config.compute_requirement_template: 'local' is neither" in message

    def test_missing_ssh_key_file_is_refused(self, cluster_yaml, tmp_path):
        cluster_yaml["auth"]["ssh_private_key"] = "/no/such/key"

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: auth.ssh_private_key: there is no file /no/such/key" in message
        assert "ssh-keygen" in message

    def test_ssh_proxy_use_node_id_is_refused_without_proxy_command(self, cluster_yaml, tmp_path):
        cluster_yaml["auth"]["ssh_proxy_use_node_id"] = True

        message = error_of(cluster_yaml, tmp_path)

        assert "cluster.yaml: auth.ssh_proxy_use_node_id needs auth.ssh_proxy_command" in message

    def test_mistakes_are_reported_together(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"] |= {"cluster_namespace": "Bad Name", "head_node_tag_server_port": 0, "typo": 1}

        lines = error_of(cluster_yaml, tmp_path).splitlines()

        assert len(lines) == 3
        assert all(line.startswith("cluster.yaml: provider.") for line in lines)

    def test_unknown_head_node_type_is_refused(self, cluster_yaml, tmp_path):
        cluster_yaml["head_node_type"] = "boss"

        assert "head_node_type 'boss' is not one of available_node_types (head, worker)" in error_of(
            cluster_yaml, tmp_path
        )

    def test_max_workers_beyond_the_task_group_limit_is_refused(self, cluster_yaml, tmp_path):
        cluster_yaml["available_node_types"]["worker"]["max_workers"] = 10_000_000

        with pytest.raises(ConfigError, match="need 1002 task groups, and YellowDog allows 1000"):
            bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])


class TestWarnings:
    def test_api_key_in_head_task_gives_a_warning(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["api_key_in_head_task"] = True

        _, (warning,) = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert "all readers of the task can copy it" in warning

    @pytest.mark.parametrize("kinds", [("head",), ("head", "worker")], ids=["head", "both"])
    def test_token_in_a_task_script_gives_a_warning(self, cluster_yaml, tmp_path, kinds):
        keys = [f"ray_{kind}_node_task_script" for kind in kinds]
        cluster_yaml["provider"] |= dict.fromkeys(keys, "export RAY_AUTH_TOKEN=abc\nray start --port 16667\n")

        _, warnings = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        for key, warning in zip(keys, warnings, strict=True):
            assert f"provider.{key} contains RAY_AUTH_TOKEN, which all readers of the task can copy" in warning
            assert "abc" not in warning

    @pytest.mark.parametrize("version", ["2.51.1", "2.60.0"])
    def test_tokens_depend_on_rays_version(self, cluster_yaml, tmp_path, monkeypatch, version):
        monkeypatch.setattr("ray.__version__", version)

        config, warnings = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert config["provider"]["ray_auth"] == ("token" if version == "2.60.0" else "none")
        assert len(warnings) == (version == "2.51.1")

    def test_head_start_commands_with_ray_stop_give_a_warning(self, cluster_yaml, tmp_path):
        cluster_yaml["head_start_ray_commands"] = ["ray stop"]

        _, (warning,) = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert "head_start_ray_commands run `ray stop` at every `ray up`" in warning

    def test_script_with_another_tag_server_port_gives_a_warning(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["ray_head_node_task_script"] = "valkey-server --bind :: --port 7777 &\nray start\n"

        _, warnings = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])

        assert len(warnings) == 1
        assert "is 16667, but ray_head_node_task_script starts the tag server on port 7777" in warnings[0]

    def test_script_with_the_same_tag_server_port_gets_no_warning(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["ray_head_node_task_script"] = "redis-server --port=16667\nray start\n"

        assert bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])[1] == []


@pytest.mark.parametrize(
    ("timings", "phrase"),
    [
        ({"idle_termination_minutes": 90}, "provider.idle_termination_minutes is 90, which has no effect"),
        ({"head_node_build_timeout_minutes": 61}, "the cluster may end before its head is ready"),
        ({"idle_termination_minutes": 60}, "provider.idle_termination_minutes is 60, which has no effect"),
        ({"idle_termination_minutes": 59, "head_node_build_timeout_minutes": 60}, None),
        ({"idle_termination_minutes": 30, "head_node_build_timeout_minutes": 20}, None),
    ],
)
def test_timing_beyond_the_lifetime_gives_a_warning(cluster_yaml, tmp_path, timings, phrase):
    cluster_yaml["provider"] |= {"cluster_lifetime_hours": 1, **timings}

    _, warnings = bootstrap(cluster_yaml, "c.yaml", [tmp_path])

    assert len(warnings) == (phrase is not None)
    assert (phrase or "") in " ".join(warnings)


@pytest.mark.parametrize(("minutes", "is_warned"), [(None, False), (59, False), (60, True), (5_256_000, True)])
def test_idle_timeout_that_is_not_below_the_lifetime_gives_a_warning(cluster_yaml, tmp_path, minutes, is_warned):
    cluster_yaml["provider"]["cluster_lifetime_hours"] = 1
    cluster_yaml["idle_timeout_minutes"] = minutes

    _, warnings = bootstrap(cluster_yaml, "c.yaml", [tmp_path])

    expected = f"c.yaml: idle_timeout_minutes is {minutes:,}, which has no effect: the cluster's" if is_warned else None
    assert [warning.startswith(expected) for warning in warnings] == [True] * is_warned


def test_default_idle_timeout_gives_no_warning_in_a_short_lifetime(cluster_yaml, tmp_path):
    cluster_yaml["provider"]["cluster_lifetime_hours"] = 0.05

    assert bootstrap(cluster_yaml, "c.yaml", [tmp_path])[1] == []


def test_number_and_flag_in_quotes_are_accepted_with_a_warning(cluster_yaml, tmp_path):
    cluster_yaml["provider"] |= {"cluster_lifetime_hours": "2.5", "publish_events": "false"}
    cluster_yaml["available_node_types"]["worker"]["node_config"]["metrics_enabled"] = "true"

    result, warnings = bootstrap(cluster_yaml, "c.yaml", [tmp_path])

    settings = parse_provider(result["provider"], "c.yaml")
    assert (settings.cluster_lifetime_hours, settings.publish_events) == (2.5, False)
    assert [text.partition(" is in quotes")[0] for text in warnings] == [
        "c.yaml: provider.cluster_lifetime_hours",
        "c.yaml: provider.publish_events",
        "c.yaml: available_node_types.worker.node_config.metrics_enabled",
    ]
