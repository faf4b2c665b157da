"""Ray's face of RayDog, by Ray's own commands where they can be had without a host."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result
from ray.autoscaler._private.providers import _clear_provider_cache
from ray.autoscaler._private.util import prepare_config
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.scripts.scripts import cli
from yellowdog_client.model import (
    RunSpecification,
    TaskGroup,
    TaskSearch,
    WorkerPoolSearch,
    WorkRequirement,
    WorkRequirementSearch,
    WorkRequirementStatus,
)

from tests.platform_time import PlatformTime
from tests.yellowdog_ray.config.test_bootstrap import RAY_SCHEMA
from yellowdog_local import faults
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import RunningPlatform, local_platform
from yellowdog_ray.commands.deliver import for_the_head
from yellowdog_ray.errors import HostKeyChanged, SshError, Unavailable
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.provider import RayDogNodeProvider

HEAD_TAGS = {
    "ray-node-type": "head",
    "ray-user-node-type": "head",
    "ray-launch-config": "abc",
    "ray-node-name": "ray-demo-head",
    "ray-node-status": "uninitialized",
}


@pytest.fixture
def platform() -> Iterator[RunningPlatform]:
    """Time stands still but for what a test says; it begins now, since the provider has the machine's clock here."""
    with local_platform(clock=SteppedClock(datetime.now(timezone.utc))) as running:
        yield running


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
    _clear_provider_cache()  # Ray keeps providers for the life of a process, which here is many commands long
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
        monkeypatch.setattr("yellowdog_ray.commands.side.RETRY_SECONDS", 0.1)

        result = ray("up", cluster_yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "127.0.0.1", "YD_API_URL")

    @pytest.mark.parametrize("worker_tag", [None, "demo-head-mine", "another-head-0123abcd"])
    def test_a_work_requirement_of_that_name_that_is_no_cluster_is_left_alone(
        self, platform, in_a_users_folder, cluster_yaml, worker_tag, monkeypatch
    ):
        monkeypatch.setattr(
            "yellowdog_ray.commands.teardown.GIVE_UP_SECONDS", 0.0
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


class TestWithoutAWayToTheHead:
    """Simulated hosts have no SSH, so every head here is one that cannot be reached."""

    @pytest.fixture
    def running(self, platform, in_a_users_folder, cluster_yaml) -> dict[str, Any]:
        """The YAML of a cluster whose head runs."""
        provider = make_provider(cluster_yaml)
        provider.create_node(cluster_yaml["available_node_types"]["head"]["node_config"], HEAD_TAGS, 1)
        platform.advance(3)
        return cluster_yaml

    def test_the_heads_address_is_still_told(self, platform, running, in_a_users_folder):
        result = ray("get-head-ip", running, in_a_users_folder)

        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[-1] == "198.18.0.1"

    def test_the_workers_addresses_are_still_told(self, platform, running, in_a_users_folder):
        result = ray("get-worker-ips", running, in_a_users_folder)

        assert (result.exit_code, result.output.strip()) == (0, "")

    def test_looking_leaves_the_cluster_alone(self, platform, running, in_a_users_folder):
        for command in ("get-head-ip", "get-worker-ips"):
            ray(command, running, in_a_users_folder)

        platform.advance(60)
        assert everything_on(platform) == (1, 1, 1)
        assert len(platform.hosts.instance_ids) == 1

    def test_a_provider_that_is_dropped_and_a_python_that_ends_leave_the_cluster_alone(
        self, platform, running, in_a_users_folder
    ):
        running["auth"]["ssh_proxy_command"] = "false"  # SSH fails at once
        (in_a_users_folder / "cluster.json").write_text(json.dumps(RayDogNodeProvider.bootstrap_config(running)))

        done = subprocess.run([sys.executable, "-c", LISTS_AND_ENDS], capture_output=True, text=True, check=False)

        assert (done.stdout, done.returncode) == ("1 listed\n", 0), done.stderr
        platform.advance(60)
        assert everything_on(platform) == (1, 1, 1)
        assert len(platform.hosts.instance_ids) == 1

    def test_a_ray_down_that_gives_up_says_what_is_left_and_fails(
        self, platform, running, in_a_users_folder, monkeypatch
    ):
        monkeypatch.setattr("yellowdog_ray.commands.teardown.GIVE_UP_SECONDS", 0.0)
        running["auth"]["ssh_proxy_command"] = "false"  # SSH fails at once

        with platform.faults.during(faults.AbortLost()):
            result = ray("down", running, in_a_users_folder, "-y")

        assert result.exit_code == 1
        assert "the platform still shows 1 instance" in result.output
        assert "run `ray down` again" in result.output

    @pytest.mark.parametrize("command", ["exec true", "attach", "rsync-up a b", "submit job.py"])
    def test_what_needs_ssh_says_so_in_one_sentence(self, platform, running, in_a_users_folder, command, monkeypatch):
        monkeypatch.setattr("yellowdog_ray.commands.access.PROBE_SECONDS", 0.2)
        monkeypatch.setattr("yellowdog_ray.remote.ssh.CONNECT_SECONDS", 1)
        (in_a_users_folder / "job.py").write_text("")
        verb, *arguments = command.split()

        result = ray(verb, running, in_a_users_folder, *arguments)

        assert result.exit_code == 1
        assert "does not answer at 198.18.0.1, port 22" in result.output
        assert "Traceback" not in result.output
        assert everything_on(platform) == (1, 1, 1)
        assert len(platform.hosts.instance_ids) == 1

    def test_a_tag_server_that_never_started_gets_a_warning_once_the_head_is_ready(
        self, platform, running, monkeypatch, capsys
    ):
        def no_way(*_: object) -> None:
            raise SshError("connection refused")

        monkeypatch.setattr("yellowdog_ray.commands.access.Tunnel", no_way)
        provider = make_provider(running)
        (head,) = provider.non_terminated_nodes({})
        capsys.readouterr()

        provider.set_node_tags(head, {"ray-node-status": "setting-up"})
        assert capsys.readouterr().out == ""
        provider.set_node_tags(head, {"ray-node-status": "up-to-date"})

        assert "The tag server on the head does not answer on port 16667" in capsys.readouterr().out
        assert provider.node_tags(head)["ray-node-status"] == "up-to-date"

    def test_a_proxy_command_that_leads_nowhere_is_told_in_one_sentence(self, platform, running, in_a_users_folder):
        running["auth"]["ssh_proxy_command"] = "sh -c 'echo no route to the bastion >&2; exit 1'"

        result = ray("exec", running, in_a_users_folder, "true")

        assert result.exit_code == 1
        assert "does not answer at 198.18.0.1, through auth.ssh_proxy_command (" in result.output
        assert "no route to the bastion" in result.output
        assert "Traceback" not in result.output

    def test_a_private_address_that_does_not_answer_comes_with_the_remedy(
        self, platform, running, in_a_users_folder, monkeypatch
    ):
        monkeypatch.setattr("yellowdog_ray.commands.access.PROBE_SECONDS", 0.2)
        running["provider"]["use_internal_ips"] = True

        result = ray("exec", running, in_a_users_folder, "true")

        assert "is auth.ssh_proxy_command missing?" in result.output

    def test_another_host_in_the_heads_place_is_not_spoken_to(self, platform, running, in_a_users_folder, monkeypatch):
        def mistrust(target, port):
            raise HostKeyChanged("it shows another SSH host key")

        monkeypatch.setattr("yellowdog_ray.commands.access.Tunnel", mistrust)
        monkeypatch.setattr("yellowdog_ray.commands.access.answers", lambda *_: True)
        monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("Ray has spoken to it"))

        result = ray("exec", running, in_a_users_folder, "true")

        assert result.exit_code == 1
        assert "Error: it shows another SSH host key" in result.output

    def test_another_clusters_yaml_finds_nothing(self, platform, running, in_a_users_folder):
        result = ray("get-head-ip", {**running, "cluster_name": "dem"}, in_a_users_folder)

        assert result.exit_code == 1
        assert "Head node of cluster (dem) not found" in str(result.exception)


LISTS_AND_ENDS = """
import gc, json
from yellowdog_ray.provider import RayDogNodeProvider
config = json.load(open("cluster.json"))
make = lambda: RayDogNodeProvider(config["provider"], config["cluster_name"])
provider = make()
print(len(provider.non_terminated_nodes({})), "listed")
del provider
gc.collect()
kept_to_the_end = make()
kept_to_the_end.non_terminated_nodes({})
"""
"""What a program of a user's may do with a provider."""


class TestOnTheHead:
    @pytest.fixture
    def provider(self, platform, in_a_users_folder, cluster_yaml, monkeypatch) -> Iterator[RayDogNodeProvider]:
        on_laptop = make_provider(cluster_yaml)
        on_laptop.create_node(cluster_yaml["available_node_types"]["head"]["node_config"], HEAD_TAGS, 1)
        platform.advance(3)
        monkeypatch.setenv("RAYDOG_ON_HEAD", "1")
        monkeypatch.setenv("RAY_enable_autoscaler_v2", "1")
        monkeypatch.setenv("RAYDOG_WORK_REQUIREMENT_ID", on_laptop.side.cluster.find().id)
        monkeypatch.setattr("yellowdog_ray.wiring.SystemClock", lambda: PlatformTime(platform))
        monkeypatch.setattr(RayNodes, "_request", lambda *_: None)  # no Ray runs here
        provider = make_provider(cluster_yaml)
        yield provider
        provider.side.cluster.close()

    def test_every_node_has_the_tags_without_which_ray_stops_scaling(self, platform, provider):
        provider.non_terminated_nodes({})
        provider.create_node_with_resources_and_labels(
            {"compute_requirement_template": "demo/local"}, WORKER, 2, {}, {}
        )

        for node_id in provider.non_terminated_nodes({}):
            tags = provider.node_tags(node_id)
            assert {"ray-node-type", "ray-user-node-type", "ray-node-status"} <= set(tags)

    def test_filters_mean_equality_of_every_tag(self, platform, provider):
        provider.non_terminated_nodes({})
        ids = provider.create_node_with_resources_and_labels(
            {"compute_requirement_template": "demo/local"}, WORKER, 2, {}, {}
        )

        assert set(provider.non_terminated_nodes({"ray-node-type": "worker"})) == set(ids)
        assert provider.non_terminated_nodes({"ray-node-type": "worker", "ray-user-node-type": "other"}) == []

    def test_the_head_outlives_an_autoscaler_that_wants_it_gone(self, platform, provider):
        (head,) = provider.non_terminated_nodes({})

        provider.terminate_nodes([head])
        platform.advance(60)

        assert provider.non_terminated_nodes({}) == [head]

    def test_while_the_platform_cannot_be_read_the_last_listing_stands(self, platform, provider, monkeypatch):
        before = provider.non_terminated_nodes({})

        def fail(*_: object) -> None:
            raise Unavailable("no answer")

        monkeypatch.setattr(provider.side.platform, "work_requirement", fail)

        assert provider.non_terminated_nodes({}) == before
        assert provider.internal_ip(before[0])

    def test_a_first_listing_that_fails_is_no_empty_one(self, platform, provider, monkeypatch):
        def fail(*_: object) -> None:
            raise Unavailable("no answer")

        monkeypatch.setattr(provider.side.platform, "work_requirement", fail)

        with pytest.raises(Unavailable):
            provider.non_terminated_nodes({})

    def test_getters_never_raise_whatever_the_id(self, platform, provider):
        provider.non_terminated_nodes({})

        assert provider.node_tags("nobody") == {}
        assert provider.internal_ip("nobody") is None
        assert provider.external_ip("nobody") is None
        assert not provider.is_running("nobody")
        assert provider.is_terminated("nobody")

    def test_a_node_that_was_just_ended_can_still_be_asked_about(self, platform, provider):
        provider.non_terminated_nodes({})
        (node_id,) = provider.create_node_with_resources_and_labels(
            {"compute_requirement_template": "demo/local"}, WORKER, 1, {}, {}
        )
        platform.advance(3)
        provider.non_terminated_nodes({})

        provider.terminate_node(node_id)

        assert provider.external_ip(node_id)

    def test_a_launch_that_cannot_succeed_says_why_with_a_short_category(self, platform, provider, caplog):
        provider.non_terminated_nodes({})

        with pytest.raises(NodeLaunchException) as caught:
            provider.create_node_with_resources_and_labels(
                {"compute_requirement_template": "demo/gone"}, WORKER, 1, {}, {}
            )

        assert caught.value.category == "NotFound"
        assert len(caught.value.category) < 20
        assert "demo/gone" in caught.value.description
        (told,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert "NotFound" in told
        assert "demo/gone" in told


WORKER = {"ray-node-type": "worker", "ray-user-node-type": "worker", "ray-node-status": "uninitialized"}


def make_provider(config: dict[str, Any]) -> RayDogNodeProvider:
    """The provider as Ray makes it; outside the head, unless the environment says otherwise."""
    section = RayDogNodeProvider.bootstrap_config(config)["provider"]
    return RayDogNodeProvider(section, config["cluster_name"])


def test_constructing_and_loading_ask_the_platform_nothing(platform, in_a_users_folder, cluster_yaml, calls):
    assert calls.during(lambda: make_provider(cluster_yaml)) == []


@pytest.mark.parametrize("key_in_task", [False, True])
def test_the_api_key_is_in_the_heads_task_only_where_the_user_wants_it(
    platform, in_a_users_folder, cluster_yaml, key_in_task
):
    cluster_yaml["provider"]["api_key_in_head_task"] = key_in_task
    provider = make_provider(cluster_yaml)

    provider.create_node(cluster_yaml["available_node_types"]["head"]["node_config"], HEAD_TAGS, 1)

    (head,) = platform.client().work_client.get_tasks(TaskSearch()).list_all()
    wanted = platform.key_secret if key_in_task else None
    assert head.environment.get("YD_API_KEY_SECRET") == wanted


@pytest.mark.parametrize(
    ("keys", "private"),
    [
        ({}, False),
        ({"use_internal_ips": True}, True),
        ({"use_internal_ips": True, "use_external_head_ip": True}, False),
    ],
    ids=["neither", "internal", "internal, but not the head's"],
)
def test_the_yaml_says_by_which_address_the_head_is_reached(in_a_users_folder, cluster_yaml, keys, private):
    cluster_yaml["provider"].update(keys)

    assert make_provider(cluster_yaml).side.access.ssh.use_private_ip is private


def test_rays_cache_of_the_yaml_is_dropped_so_that_changed_files_and_checks_count(
    platform, in_a_users_folder, cluster_yaml
):
    cached = in_a_users_folder / f"ray-config-{'0' * 64}"
    cached.write_text("{}")
    provider = make_provider(cluster_yaml)
    provider.provider_config["_config_cache_path"] = str(cached)

    provider.non_terminated_nodes({})

    assert not cached.exists()


def test_what_travels_to_the_head_names_no_path_of_the_laptop(platform, in_a_users_folder, cluster_yaml, ssh_key):
    config = RayDogNodeProvider.bootstrap_config(cluster_yaml)
    config["provider"]["_config_cache_path"] = str(ssh_key.parent / "ray-config-x")
    config["auth"]["ssh_private_key"] = "~/ray_bootstrap_key.pem"  # Ray does that before it asks us

    for_head = for_the_head(config)

    assert str(ssh_key) not in json.dumps(for_head)
    assert "_config_cache_path" not in for_head["provider"]
    jsonschema.validate(for_head, RAY_SCHEMA)


def test_commands_for_all_nodes_run_once_on_each(platform, in_a_users_folder, cluster_yaml):
    """Ray puts them before those of head and workers whenever it reads a configuration: here, and again on the head."""
    commands = {"setup_commands": ["every"], "head_setup_commands": ["head"], "worker_setup_commands": ["worker"]}
    config = RayDogNodeProvider.bootstrap_config(prepare_config(cluster_yaml | commands))

    on_head = prepare_config(for_the_head(config))

    assert config["head_setup_commands"] == ["every", "head"]
    assert on_head["worker_setup_commands"] == ["every", "worker"]
