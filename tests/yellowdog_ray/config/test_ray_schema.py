"""Mistakes that Ray's schema finds, in RayDog's words."""

import pytest

from yellowdog_ray.config.ray_schema import keys_that_are_no_text, take_wrong_values, with_empty_resources


@pytest.fixture
def config(cluster_yaml):
    return cluster_yaml


def found(config):
    return [str(mistake) for mistake in (*keys_that_are_no_text(config), *take_wrong_values(config)[0])]


def test_good_configuration_has_no_mistake(config):
    assert found(config) == []


def test_wrong_command_is_reported_where_the_user_wrote_it(config):
    """Ray puts `setup_commands` before those of the head and of the workers."""
    config |= {"setup_commands": [1], "head_setup_commands": [1, 2], "worker_setup_commands": [1]}

    places = [mistake.partition(" is ")[0] for mistake in found(config)]
    assert places == ["setup_commands.0", "head_setup_commands.1"]


def test_copied_maximum_of_workers_is_reported_once(config):
    config["max_workers"] = wrong = "many"
    config["available_node_types"]["worker"]["max_workers"] = wrong

    assert [mistake.partition(" is ")[0] for mistake in found(config)] == ["max_workers"]


@pytest.mark.parametrize(
    ("key", "hint"),
    [("max_worker", "did you mean `max_workers`?"), ("head_node", "use available_node_types"), ("q", "known keys: ")],
)
def test_unknown_key_is_reported_with_a_hint(config, key, hint):
    (mistake,) = found({**config, key: 1})

    assert f"{key} is not a key of Ray 2.60.0: {hint}" in mistake


@pytest.mark.parametrize(
    ("value", "remedy"),
    [("5", "give a number of 0 or above, without quotes"), ("five", "give a number of 0 or above")],
)
def test_number_in_quotes_is_refused_with_its_remedy(config, value, remedy):
    assert found({**config, "idle_timeout_minutes": value}) == [f"idle_timeout_minutes is '{value}': {remedy}"]


def test_key_that_is_no_text_hides_no_other_mistake(config):
    """Ray's schema cannot be applied to such a key."""
    config["max_workers"] = "many"

    assert found({**config, "file_mounts": {1: "a"}}) == [
        "file_mounts has the key 1: put keys of file_mounts that are no words in quotes",
        "max_workers is 'many': give a whole number of 0 or above",
    ]
    del config["max_workers"]
    assert found({**config, True: 1}) == ["True is a key that is no word: remove it, or put it in quotes"]


@pytest.mark.parametrize("node_types", [None, [], "x"])
def test_node_types_that_are_no_mapping_stay(node_types):
    assert with_empty_resources({"available_node_types": node_types}) == {"available_node_types": node_types}


def test_resources_are_added_only_where_they_are_missing():
    kinds = {"a": {}, "b": {"resources": {"CPU": 1}}, "c": {"resources": None}, "d": None}

    filled = with_empty_resources({"available_node_types": kinds})["available_node_types"]

    assert filled == {"a": {"resources": {}}, "b": {"resources": {"CPU": 1}}, "c": {"resources": {}}, "d": None}
