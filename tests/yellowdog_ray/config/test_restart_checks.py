"""What excludes the replacement of a lost head."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from yellowdog_ray.config.models import INTERNAL_KEY, ProviderSettings
from yellowdog_ray.config.restart_checks import check_restart
from yellowdog_ray.errors import ConfigError

SOURCE = "my.yaml"


def check(min_workers: int = 1, config: dict[str, Any] | None = None, **settings: Any) -> list[str]:
    """The warnings of a YAML with these changes."""
    types = {
        "head": {"node_config": {"compute_requirement_template": "a/b"}},
        "worker": {"node_config": {}, "min_workers": min_workers},
    }
    auth = {"ssh_private_key": os.devnull}
    whole = {"auth": auth, "head_node_type": "head", "available_node_types": types, **(config or {})}
    section = {"cluster_namespace": "demo", "head_restart": True, **settings}
    return check_restart(ProviderSettings.model_validate(section), whole, {"provider": {}, **whole}, SOURCE)


def test_yaml_with_default_scripts_has_no_mistake():
    assert check() == []


def test_yaml_without_a_permanent_worker_gives_a_warning():
    (warning,) = check(min_workers=0)

    assert "min_workers" in warning


OBSTACLES: dict[str, dict[str, Any]] = {
    "ray_auth": {"ray_auth": "none"},
    "ray_head_node_task_script": {"ray_head_node_task_script": "ray start --head"},
    "ray_worker_node_task_script": {"ray_worker_node_task_script": "ray start"},
    "files_to_upload": {"files_to_upload": ["a"]},
    "head_node_build_timeout_minutes": {"head_node_build_timeout_minutes": 4},
    "compute_requirement_template": {
        "config": {"available_node_types": {"head": {"node_config": {"worker_pool": "a/b"}}}},
    },
}


@pytest.mark.parametrize(("words", "changes"), OBSTACLES.items(), ids=OBSTACLES)
def test_obstacle_is_refused_with_its_remedy(words, changes):
    with pytest.raises(ConfigError, match=words) as caught:
        check(**changes)
    assert str(caught.value).startswith(f"{SOURCE}: provider.head_restart ")


@pytest.mark.parametrize("changes", OBSTACLES.values(), ids=OBSTACLES)
def test_nothing_is_refused_without_the_key(changes):
    assert check(**{**changes, "head_restart": False}) == []


def test_lifetime_in_which_no_head_is_replaced_gives_a_warning():
    (warning,) = check(cluster_lifetime_hours=0.15)

    assert "provider.cluster_lifetime_hours" in warning


def test_ray_without_tokens_is_named(monkeypatch):
    monkeypatch.setattr("ray.__version__", "2.51.1")

    with pytest.raises(ConfigError, match=r"needs Ray 2\.52 or later, and this machine has 2\.51\.1"):
        check(ray_auth="none")


def set_up(**keys: Any) -> dict[str, Any]:
    """A YAML with these keys, as Ray prepares it: `setup_commands` are before those of head and workers."""
    shared = keys.get("setup_commands", [])
    merged = {key: [*shared, *keys.get(key, [])] for key in ("head_setup_commands", "worker_setup_commands")}
    return {**keys, **merged}


IMAGE, FILES, START = (
    "put the set-up into the image or into userdata",
    "put the files into the image",
    "let the default",
)
EXCLUDED: dict[str, tuple[dict[str, Any], str]] = {
    "setup_commands": (set_up(setup_commands=["a"]), IMAGE),
    "head_setup_commands": (set_up(head_setup_commands=["a"]), IMAGE),
    "worker_setup_commands": (set_up(worker_setup_commands=["a"]), IMAGE),
    "setup_commands, worker_setup_commands": (set_up(setup_commands=["a"], worker_setup_commands=["b"]), IMAGE),
    "initialization_commands": ({"initialization_commands": ["a"]}, IMAGE),
    "file_mounts": ({"file_mounts": {"~/a": "/a"}}, FILES),
    "cluster_synced_files": ({"cluster_synced_files": ["/a"]}, FILES),
    "head_start_ray_commands": ({"head_start_ray_commands": ["ray start --head"]}, START),
    "worker_start_ray_commands": ({"worker_start_ray_commands": ["ray start"]}, START),
    "provider.disable_node_updaters": ({}, "remove the key"),
}


@pytest.mark.parametrize(("keys", "case"), EXCLUDED.items(), ids=EXCLUDED)
def test_key_of_set_up_over_ssh_is_refused_alone_with_its_remedy(keys, case):
    config, remedy = case

    with pytest.raises(ConfigError) as caught:
        check(config=config, **{INTERNAL_KEY: {"worker_updater": "sets-up"}})

    assert str(caught.value).startswith(f"{SOURCE}: provider.head_restart excludes {keys}: {remedy}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["initialization_commands", "worker_setup_commands"])
def test_command_of_a_node_type_is_refused_with_the_type(key):
    types = {"head": {"node_config": {}}, "my.gpu": {"node_config": {}, key: ["a"]}}

    with pytest.raises(ConfigError, match=rf"excludes available_node_types\..*my\.gpu.*\.{key}: {IMAGE}"):
        check(config={"available_node_types": types}, **{INTERNAL_KEY: {"worker_updater": "sets-up"}})


def test_commands_for_workers_are_accepted_which_have_no_effect():
    assert check(config=set_up(worker_setup_commands=["a"])) == []


def test_completed_yaml_is_accepted_with_the_commands_of_raydog():
    assert check(config={"provider": {INTERNAL_KEY: {}}, "head_start_ray_commands": ["wait"]}) == []


def test_certificate_beside_the_key_gives_a_warning(tmp_path, ssh_key):
    certificate = Path(f"{ssh_key}-cert.pub")
    certificate.touch()

    (warning,) = check(config={"auth": {"ssh_private_key": str(ssh_key)}})

    assert f"does not use {certificate}" in warning
