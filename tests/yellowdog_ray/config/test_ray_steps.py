"""The configuration between Ray's steps: mistakes are taken out, and found again by `bootstrap`."""

import pytest

from yellowdog_ray.config.mistakes import Mistake
from yellowdog_ray.config.ray_steps import accepted_by_ray, take_mistakes, without_mistakes


@pytest.mark.parametrize("key", ["available_node_types", "head_node_type", "max_workers"])
def test_mistake_in_node_types_replaces_all_of_them(cluster_yaml, key):
    result = without_mistakes(cluster_yaml, [Mistake((key, "worker"), " is wrong")])

    assert list(result["available_node_types"]) == [result["head_node_type"]] == ["none"]
    assert result["max_workers"] == 0


def test_mistake_in_setup_commands_removes_rays_copies_too(cluster_yaml):
    config = {**cluster_yaml, "setup_commands": [1], "head_setup_commands": [1, "a"], "worker_setup_commands": [1]}

    result = without_mistakes(config, [Mistake(("setup_commands", 0), " is 1")])

    assert [result[f"{kind}setup_commands"] for kind in ("", "head_", "worker_")] == [[], [], []]


def test_mistake_in_provider_removes_its_key_only(cluster_yaml):
    result = without_mistakes(cluster_yaml, [Mistake(("provider", "cluster_namespace"), " is wrong")])

    assert "cluster_namespace" not in result["provider"]
    assert result["provider"]["type"] == "external"
    assert "cluster_namespace" in cluster_yaml["provider"]


def test_cluster_name_that_is_no_text_becomes_one(cluster_yaml):
    assert (
        without_mistakes({**cluster_yaml, "cluster_name": 5}, [Mistake(("cluster_name",), "")])["cluster_name"] == "5"
    )


def test_mistakes_are_taken_once(cluster_yaml):
    mistakes = [Mistake(("setup_commands", 0), " is 1"), Mistake(("q",), " is unknown")]
    config = accepted_by_ray(cluster_yaml, mistakes)

    assert take_mistakes(config) == mistakes
    assert take_mistakes(config) == []


def test_mistakes_are_found_where_no_step_has_left_any(cluster_yaml):
    assert [mistake.place for mistake in take_mistakes({**cluster_yaml, "q": 1})] == [("q",)]
