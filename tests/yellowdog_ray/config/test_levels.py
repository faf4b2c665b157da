"""A key at a wrong level of the YAML: the message names its own level before any similar key."""

import pytest

from yellowdog_ray.config.checks import section_mistakes
from yellowdog_ray.config.installed_schema import rays_schema
from yellowdog_ray.config.levels import keys_of, remedy_for
from yellowdog_ray.config.models import Auth, ProviderSettings
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.config.ray_schema import take_wrong_values

TOP = rays_schema()["properties"]
(NODE_TYPE,) = (kind["properties"] for kind in TOP["available_node_types"]["patternProperties"].values())
LEVELS = {
    "at the top level": set(TOP),
    "in a node type under `available_node_types`": set(NODE_TYPE),
    "under `auth`": keys_of(Auth),
    "under `provider`": keys_of(ProviderSettings),
    "under `node_config` of a node type": keys_of(NodeConfig),
}
PLACES = {
    "at the top level": (),
    "in a node type under `available_node_types`": ("available_node_types", "worker"),
    "under `auth`": ("auth",),
    "under `provider`": ("provider",),
    "under `node_config` of a node type": ("available_node_types", "worker", "node_config"),
}


def mistakes(key, place):
    """What is found in a YAML with one key at a place."""
    config = {
        "cluster_name": "c",
        "max_workers": 1,
        "provider": {"type": "external", "module": "m", "cluster_namespace": "n"},
        "auth": {"ssh_user": "u", "ssh_private_key": "k"},
        "available_node_types": {"worker": {"node_config": {"compute_requirement_template": "a/b"}, "resources": {}}},
    }
    section = config
    for part in place:
        section = section[part]
    section[key] = {}
    wrong, rest = take_wrong_values(config)
    return [str(mistake) for mistake in (*wrong, *section_mistakes(rest)) if mistake.place == (*place, key)]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("wrong_level", LEVELS)
def test_every_key_at_a_wrong_level_is_reported_with_its_own(level, wrong_level):
    for key in LEVELS[level] - LEVELS[wrong_level]:
        (found,) = mistakes(key, PLACES[wrong_level])
        assert "it belongs " in found, key
        assert level in found.partition("it belongs ")[2]


def test_key_of_no_level_gets_the_most_similar_key_of_its_place():
    assert remedy_for("max_worker", ["max_workers"]) == "did you mean `max_workers`?"
    assert remedy_for("q", {"b", "a"}) == "known keys: a, b"


def test_internal_keys_are_not_named():
    assert not [key for key in keys_of(ProviderSettings) if key.startswith("_")]
    assert "internal" not in keys_of(ProviderSettings)
