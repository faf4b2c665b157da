"""Another `ray up` for a running cluster, up to its first SSH connection to the head."""

import copy

import pytest
from yellowdog_client.model import TaskSearch

from tests.ssh_keys import write_key
from tests.yellowdog_ray.cluster_lab import BOOT
from tests.yellowdog_ray.ray_cli import ray
from yellowdog_ray.commands.access import NodeAccess
from yellowdog_ray.errors import SshError
from yellowdog_ray.provider import RayDogNodeProvider

WORKER = {"ray-node-type": "worker", "ray-user-node-type": "worker", "ray-node-status": "uninitialized"}


class Sent(Exception):
    """Ray was about to send something to the head."""


@pytest.fixture
def up(platform, in_a_users_folder, monkeypatch):
    """Runs `ray up` until the head would be reached; returns whether it came so far, and its output."""

    def reach(*_: object) -> None:
        raise Sent

    def no_way(*_: object) -> None:
        raise SshError("simulated hosts have no SSH")

    monkeypatch.setattr(NodeAccess, "open_tunnel", no_way)
    monkeypatch.setattr("yellowdog_ray.commands.head_wait.HeadWait.until_reachable", reach)

    def run(config):
        result = ray("up", config, in_a_users_folder, "-y")
        assert isinstance(result.exception, Sent | SystemExit), result.output
        return isinstance(result.exception, Sent), " ".join(result.output.split())

    return run


@pytest.fixture
def running(platform, up, cluster_yaml):
    """The YAML of a cluster whose head runs, with two workers."""
    reached, output = up(cluster_yaml)
    assert reached, output
    platform.advance(BOOT)
    provider = on_the_head(platform, cluster_yaml)
    config = cluster_yaml["available_node_types"]["worker"]["node_config"]
    provider.create_node_with_resources_and_labels(config, WORKER, 2, {"CPU": 1}, {})
    platform.advance(BOOT)
    return copy.deepcopy(cluster_yaml)


def on_the_head(platform, config):
    """The provider with what Ray's autoscaler needs to grow the cluster."""
    section = RayDogNodeProvider.bootstrap_config(config)["provider"]
    provider = RayDogNodeProvider(section, config["cluster_name"])
    provider.non_terminated_nodes({})
    return provider


def tasks(platform):
    with platform.client() as client:
        found = client.work_client.get_tasks(TaskSearch()).list_all()
    return {task.name: task.status.name for task in found}


def test_same_yaml_is_accepted(up, running):
    reached, output = up(running)

    assert reached
    assert "available_node_types" not in output
    assert "keeps the settings of its creation" not in output


def test_removed_node_type_is_refused_while_its_nodes_run(platform, up, running):
    running["available_node_types"]["other"] = running["available_node_types"].pop("worker")
    before = tasks(platform)

    reached, output = up(running)

    assert not reached
    assert "cluster.yaml: available_node_types lacks types of which nodes run: worker (2)" in output
    assert "max_workers: 0" in output
    assert tasks(platform) == before


@pytest.mark.parametrize("change", ["node_config", "type", "auth"])
def test_change_that_replaces_the_head_is_refused(platform, up, running, ssh_key, change):
    if change == "node_config":
        running["available_node_types"]["head"]["node_config"]["userdata"] = "echo changed"
    elif change == "type":
        running["available_node_types"]["boss"] = running["available_node_types"].pop("head")
        running["head_node_type"] = "boss"
    else:
        write_key(ssh_key, 1)
    before = tasks(platform)

    reached, output = up(running)

    assert not reached
    assert "cluster 'demo' runs with another head (node type 'head')" in output
    assert "`ray down` first" in output
    assert tasks(platform) == before
    assert set(before.values()) == {"EXECUTING"}


def test_missing_template_of_a_new_type_is_refused_before_anything_is_sent(up, running):
    running["available_node_types"]["gpu"] = {
        "resources": {"GPU": 1},
        "node_config": {"compute_requirement_template": "demo/gone"},
    }

    reached, output = up(running)

    assert not reached
    assert "available_node_types.gpu.node_config.compute_requirement_template" in output


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"resources": {"CPU": 2}}, "resources of its node type"),
        ({"labels": {"a": "b"}}, "labels of its node type"),
        ({"ray_head_node_task_script": "sleep 1"}, "provider.ray_head_node_task_script"),
        ({"cluster_lifetime_hours": 2}, "provider.cluster_lifetime_hours"),
        ({"head_node_tag_server_port": 7}, "provider.head_node_tag_server_port"),
        ({"head_restart": True}, "provider.head_restart"),
    ],
)
def test_setting_that_the_running_head_keeps_gives_a_warning(up, running, change, named):
    of_its_type = change.keys() <= {"resources", "labels"}
    (running["available_node_types"]["head"] if of_its_type else running["provider"]).update(change)

    reached, output = up(running)

    assert reached
    assert "the running head keeps the settings of its creation, and differs in" in output
    assert named in output


def test_growth_beyond_a_small_cluster_gives_a_warning(up, running):
    running["max_workers"] = 250
    assert "how often Ray polls its nodes" not in up(running)[1]

    running["max_workers"] = 251
    reached, output = up(running)

    assert reached
    assert "how often Ray polls its nodes" in output


def test_max_workers_below_the_running_workers_gives_a_warning(up, running):
    running["max_workers"] = 1

    reached, output = up(running)

    assert reached
    assert "cluster.yaml: max_workers is 1, and 2 workers run: Ray terminates those above it, busy or not" in output


SET_UP = {"worker_setup_commands": ["echo hello"]}
OWN_START = {"worker_start_ray_commands": ["ray stop", "ray start --address=$RAY_HEAD_IP:6379"]}


class TestUpdaters:
    @pytest.mark.parametrize(("made", "now"), [({}, SET_UP), (SET_UP, {}), (SET_UP, OWN_START), (OWN_START, SET_UP)])
    def test_change_between_tasks_and_updaters_is_refused(self, up, cluster_yaml, made, now):
        assert up(cluster_yaml | made)[0]

        reached, output = up(cluster_yaml | now)

        assert not reached
        assert "cluster.yaml: the use of set-up over SSH (file_mounts, setup_commands and the like) and of" in output
        assert "Run `ray down` first, or restore these keys" in output

    @pytest.mark.parametrize("keys", [SET_UP, OWN_START])
    def test_unchanged_updaters_are_accepted(self, up, cluster_yaml, keys):
        assert up(cluster_yaml | keys)[0]

        assert up(cluster_yaml | keys)[0]

    def test_new_node_type_is_refused_with_updaters_and_v2(self, up, cluster_yaml):
        assert up(cluster_yaml | SET_UP)[0]
        cluster_yaml["available_node_types"]["gpu"] = cluster_yaml["available_node_types"]["worker"]

        reached, output = up(cluster_yaml | SET_UP)

        assert not reached
        assert "cluster.yaml: available_node_types.gpu is new" in output
        assert "Run `ray down` first, or remove it" in output

    def test_new_set_up_of_the_head_alone_is_accepted(self, up, cluster_yaml):
        assert up(cluster_yaml)[0]

        assert up(cluster_yaml | {"head_setup_commands": ["echo hello"]})[0]
