"""Values of Ray's keys that Ray's schema lets pass, and that would stop a cluster that is paid for."""

import json

import pytest
import yaml

from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.errors import ConfigError


def error_of(config, tmp_path):
    with pytest.raises(ConfigError) as caught:
        bootstrap(config, "cluster.yaml", [tmp_path])
    return str(caught.value)


@pytest.mark.parametrize("key", ["max_workers", "min_workers", "idle_timeout_s"])
def test_negative_number_is_refused(cluster_yaml, tmp_path, key):
    cluster_yaml["available_node_types"]["worker"][key] = -1

    message = error_of(cluster_yaml, tmp_path)

    assert message == f"cluster.yaml: available_node_types.worker.{key} is -1: give a number of 0 or above"


def test_minimum_above_the_maximum_is_refused(cluster_yaml, tmp_path):
    cluster_yaml["available_node_types"]["worker"]["min_workers"] = 3

    assert "available_node_types.worker.min_workers is 3, above max_workers (2)" in error_of(cluster_yaml, tmp_path)


def test_minimums_above_the_clusters_maximum_in_sum_are_refused(cluster_yaml, tmp_path):
    node_types = cluster_yaml["available_node_types"]
    node_types["worker"]["min_workers"] = 1
    node_types["other"] = {**node_types["worker"], "min_workers": 2}

    assert "min_workers of all node types are 3 in sum, above max_workers (2)" in error_of(cluster_yaml, tmp_path)


@pytest.mark.parametrize("name", ["", " ", 1, "a\nb", "a\x1b[31m"])
def test_node_type_without_a_name_is_refused(cluster_yaml, tmp_path, name):
    types = cluster_yaml["available_node_types"]
    types[name] = types.pop("worker")

    assert f"available_node_types has a node type named {name!r}" in error_of(cluster_yaml, tmp_path)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_number_that_is_not_finite_is_refused(cluster_yaml, tmp_path, value):
    cluster_yaml["idle_timeout_minutes"] = value

    assert f"idle_timeout_minutes is .{value}: give a finite number" in error_of(cluster_yaml, tmp_path)


@pytest.mark.parametrize("key", ["head_node_build_timeout_minutes", "worker_node_build_timeout_minutes"])
def test_timeout_beyond_any_machine_is_refused(cluster_yaml, tmp_path, key):
    cluster_yaml["provider"][key] = 1e13

    assert f"cluster.yaml: provider.{key} is" in error_of(cluster_yaml, tmp_path)


@pytest.mark.parametrize("place", [(), ("available_node_types", "worker")])
def test_number_that_is_too_large_is_one_mistake(cluster_yaml, tmp_path, place):
    """So many workers would also need too many task groups."""
    section = cluster_yaml
    for key in place:
        section = section[key]
    section["max_workers"] = 10**12

    assert "give a number of at most 1,000,000,000" in error_of(cluster_yaml, tmp_path)
    assert "task groups" not in error_of(cluster_yaml, tmp_path)


def test_docker_section_is_refused(cluster_yaml, tmp_path):
    cluster_yaml["docker"] = {"image": "rayproject/ray", "container_name": "ray"}

    assert "cluster.yaml: docker: RayDog starts Ray in the nodes' tasks" in error_of(cluster_yaml, tmp_path)


def test_docker_section_of_a_node_type_is_refused(cluster_yaml, tmp_path):
    cluster_yaml["available_node_types"]["worker"]["docker"] = {"worker_image": "rayproject/ray"}

    assert "available_node_types.worker.docker" in error_of(cluster_yaml, tmp_path)


def test_empty_docker_section_is_accepted(cluster_yaml, tmp_path):
    cluster_yaml["docker"] = {}

    bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])


def test_wrong_setup_command_is_reported_once(cluster_yaml, tmp_path):
    """Ray copies the commands to those of the head and of the workers."""
    copies = {"head_setup_commands": [1, "of the head"], "worker_setup_commands": [1]}

    (line,) = error_of({**cluster_yaml, "setup_commands": [1], **copies}, tmp_path).splitlines()

    assert line.startswith("cluster.yaml: setup_commands.0 is 1: give text")


def test_label_with_the_longest_prefix_is_accepted(cluster_yaml, tmp_path):
    prefix = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    labels = cluster_yaml["available_node_types"]["worker"]["labels"] = {f"{prefix}/zone": "here"}

    assert bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])[0]["available_node_types"]["worker"]["labels"] == labels
    labels[f"{prefix}d/zone"] = labels.pop(f"{prefix}/zone")
    assert "has the key" in error_of(cluster_yaml, tmp_path)


@pytest.mark.parametrize("place", ["node type", "resource"])
def test_name_with_an_emoji_is_refused(cluster_yaml, tmp_path, place):
    types = cluster_yaml["available_node_types"]
    if place == "node type":
        types["💥"] = types.pop("worker")
    else:
        types["worker"]["resources"] = {"CPU": 1, "💥": 1}

    assert f"has a {place} named '💥': Ray's autoscaler cannot read" in error_of(cluster_yaml, tmp_path)


@pytest.mark.parametrize("number", [1e-05, 5e-324, 2e-07])
def test_number_that_ray_reads_as_text_on_the_head_is_refused(cluster_yaml, tmp_path, number):
    cluster_yaml["idle_timeout_minutes"] = number

    assert isinstance(yaml.safe_load(json.dumps(number)), str)
    assert f"idle_timeout_minutes is {number}: Ray's autoscaler cannot read" in error_of(cluster_yaml, tmp_path)


@pytest.mark.parametrize("number", [0.0001, 1.5e-05, 0.0])
def test_small_number_that_ray_can_read_is_accepted(cluster_yaml, tmp_path, number):
    cluster_yaml["idle_timeout_minutes"] = number

    assert isinstance(yaml.safe_load(json.dumps(number)), float)
    bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])
