"""A mistake in the YAML gets one message before anything is created, and never stops what removes a cluster."""

import copy
import json
from typing import Any

import click
import pytest
from ray.autoscaler._private import commands

from tests.yellowdog_ray.ray_cli import assert_refused, complete, create_head, make_provider, ray
from tests.yellowdog_ray.yaml_mistakes import BEFORE_THE_PROVIDER, FOUND_BY_RAYDOG, IN_AUTH, IN_RAYS_KEYS, OF_RAYDOG
from yellowdog_local.testing import RunningPlatform

ONE_OF_EACH_KIND = [
    next(mistake for mistake in FOUND_BY_RAYDOG if mistake.place == place)
    for place in [
        ("max_workers",),
        ("available_node_types", "worker", "node_config"),
        ("provider", "cluster_lifetime_hour"),
        ("file_mounts", "~/x"),
        ("auth", "ssh_private_key"),
    ]
]


def as_ray_completes_it(config: dict[str, Any], command: str) -> dict[str, Any]:
    """The YAML as Ray's own code and the provider complete it for a command."""
    with click.Context(click.Command(command), info_name=command) as context:
        context.params["cluster_config_file"] = "cluster.yaml"
        return commands._bootstrap_config(copy.deepcopy(complete(config)), no_config_cache=True)


def message_of(config: dict[str, Any], command: str) -> str:
    """The message with which a command refuses a YAML; empty if it does not."""
    try:
        as_ray_completes_it(config, command)
    except click.ClickException as error:
        return error.message
    return ""


def running_cluster(platform: RunningPlatform, config: dict[str, Any]) -> None:
    create_head(make_provider(config), config)
    platform.advance(60)


class TestRayUp:
    def test_mistake_is_refused_in_one_message(self, in_a_users_folder, cluster_yaml):
        messages = {mistake: message_of(mistake.made_in(cluster_yaml), "up") for mistake in FOUND_BY_RAYDOG}

        for mistake, message in messages.items():
            (line,) = message.splitlines() or [f"{mistake} is accepted"]
            assert line.startswith("cluster.yaml: ")
            assert [phrase for phrase in mistake.phrases if phrase not in line] == [], line

    def test_empty_idle_timeout_has_the_default(self, in_a_users_folder, cluster_yaml):
        cluster_yaml["idle_timeout_minutes"] = None

        assert as_ray_completes_it(cluster_yaml, "up")["idle_timeout_minutes"] == 5

    @pytest.mark.parametrize("mistake", ONE_OF_EACH_KIND, ids=str)
    def test_mistake_ends_the_command_before_anything_is_created(
        self, platform, in_a_users_folder, cluster_yaml, mistake
    ):
        result = ray("up", mistake.made_in(cluster_yaml), in_a_users_folder, "-y")

        assert_refused(result, platform, "Error: cluster.yaml: ", *mistake.phrases)
        assert isinstance(result.exception, SystemExit)

    def test_mistakes_are_reported_together(self, in_a_users_folder, cluster_yaml):
        cluster_yaml |= {"max_workers": "2", "idle_timeout_minutes": "5", "file_mounts": []}

        with pytest.raises(click.ClickException) as caught:
            as_ray_completes_it(cluster_yaml, "up")

        assert len(caught.value.message.splitlines()) == 3

    @pytest.mark.parametrize("mistake", BEFORE_THE_PROVIDER)
    def test_documented_traceback_is_rays(self, in_a_users_folder, cluster_yaml, mistake):
        made, words = BEFORE_THE_PROVIDER[mistake]

        with pytest.raises(Exception, match=words):
            as_ray_completes_it(made.made_in(cluster_yaml), "up")


class TestCommandsOnAnExistingCluster:
    def test_ray_down_accepts_mistakes_that_do_not_concern_it(self, in_a_users_folder, cluster_yaml):
        for mistake in FOUND_BY_RAYDOG:
            config = as_ray_completes_it(mistake.made_in(cluster_yaml), "down")

            assert (config["cluster_name"], config["provider"]["cluster_namespace"]) == ("demo", "demo"), str(mistake)

    def test_ray_exec_accepts_mistakes_that_do_not_concern_it(self, in_a_users_folder, cluster_yaml):
        for mistake in [*IN_RAYS_KEYS, *OF_RAYDOG]:
            config = as_ray_completes_it(mistake.made_in(cluster_yaml), "exec")

            assert config["auth"] == cluster_yaml["auth"], str(mistake)
            assert not config.get("docker"), str(mistake)

    def test_ray_exec_refuses_mistakes_in_auth(self, in_a_users_folder, cluster_yaml):
        mistakes = [mistake for mistake in IN_AUTH if "ssh_public_key" not in mistake.place]
        messages = [message_of(mistake.made_in(cluster_yaml), "exec") for mistake in mistakes]

        assert [message for message in messages if not message.startswith("cluster.yaml: auth")] == []

    @pytest.mark.parametrize("command", ["down", "exec"])
    @pytest.mark.parametrize("place", [("cluster_name",), ("provider", "cluster_namespace")])
    def test_wrong_name_or_namespace_is_refused(self, in_a_users_folder, cluster_yaml, command, place):
        section = cluster_yaml if len(place) == 1 else cluster_yaml["provider"]
        section[place[-1]] = 5

        with pytest.raises(click.ClickException, match=f"^cluster.yaml: {'.'.join(place)}"):
            as_ray_completes_it(cluster_yaml, command)

    @pytest.mark.parametrize("command", ["get-head-ip", "get-worker-ips"])
    @pytest.mark.parametrize("name", [5, None, "Demo X"])
    def test_wrong_name_is_refused_where_ray_calls_no_check(
        self, platform, in_a_users_folder, cluster_yaml, command, name
    ):
        cluster_yaml["cluster_name"] = name

        result = ray(command, cluster_yaml, in_a_users_folder)

        assert_refused(result, platform, f"Error: cluster.yaml: cluster_name '{name}'")

    @pytest.mark.parametrize("mistake", ONE_OF_EACH_KIND, ids=str)
    def test_ray_down_removes_the_cluster(self, platform, in_a_users_folder, cluster_yaml, mistake):
        running_cluster(platform, cluster_yaml)

        result = ray("down", mistake.made_in(cluster_yaml), in_a_users_folder, "-y")

        assert result.exit_code == 0, result.output
        assert "nothing is left of cluster 'demo'" in result.output

    def test_ray_get_head_ip_shows_the_address(self, platform, in_a_users_folder, cluster_yaml):
        running_cluster(platform, cluster_yaml)
        results = {
            str(mistake): ray("get-head-ip", mistake.made_in(cluster_yaml), in_a_users_folder)
            for mistake in FOUND_BY_RAYDOG
        }

        assert {mistake: result.output for mistake, result in results.items() if result.exit_code} == {}


class TestCachedConfiguration:
    def test_path_of_the_cache_is_the_one_that_ray_uses(self, in_a_users_folder, cluster_yaml):
        with click.Context(click.Command("up"), info_name="up"):
            config = commands._bootstrap_config(complete(cluster_yaml))
            (cached,) = in_a_users_folder.glob("ray-config-*")

            stated = json.loads(cached.read_text())["config"]["provider"]["_config_cache_path"]
            assert stated == config["provider"]["_config_cache_path"] == str(cached)

    def test_ray_up_is_checked_after_ray_down_was_declined(self, platform, in_a_users_folder, cluster_yaml):
        cluster_yaml["file_mounts"] = {"~/data": "no/data"}
        declined = ray("down", cluster_yaml, in_a_users_folder)

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert "requires user confirmation" in declined.output
        assert_refused(result, platform, "Error: cluster.yaml: file_mounts.~/data: there is no file")

    def test_ray_up_is_refused_once_after_ray_down_was_killed_at_its_question(
        self, platform, in_a_users_folder, cluster_yaml, monkeypatch
    ):
        with monkeypatch.context() as killed:
            killed.setattr("yellowdog_ray.provider.drop_cached_config_at_the_end", lambda _: None)
            ray("down", cluster_yaml, in_a_users_folder)

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "run this command again")
        assert list(in_a_users_folder.glob("ray-config-*")) == []
