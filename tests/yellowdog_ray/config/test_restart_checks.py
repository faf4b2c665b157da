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
    return check_restart(ProviderSettings.model_validate(section), whole, SOURCE)


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
    "file_mounts": {"config": {"file_mounts": {"~/a": "/a"}}},
    "head_node_build_timeout_minutes": {"head_node_build_timeout_minutes": 4},
    "set-up over SSH": {INTERNAL_KEY: {"head_updater": "sets-up"}},
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


def test_set_up_over_ssh_is_refused_with_its_keys():
    config = {"setup_commands": ["date"], "worker_setup_commands": ["date"]}

    with pytest.raises(ConfigError, match=r"set-up over SSH \(setup_commands, worker_setup_commands\)"):
        check(config=config, **{INTERNAL_KEY: {"head_updater": "sets-up"}})


def test_files_are_refused_once():
    with pytest.raises(ConfigError) as caught:
        check(config={"file_mounts": {"~/a": "/a"}}, **{INTERNAL_KEY: {"worker_updater": "sets-up"}})

    assert str(caught.value).count("provider.head_restart") == 1


def test_certificate_beside_the_key_gives_a_warning(tmp_path, ssh_key):
    certificate = Path(f"{ssh_key}-cert.pub")
    certificate.touch()

    (warning,) = check(config={"auth": {"ssh_private_key": str(ssh_key)}})

    assert f"does not use {certificate}" in warning
