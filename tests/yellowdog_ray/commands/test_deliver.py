"""What reaches the head: the user's extra files, and the configuration."""

import json
from collections.abc import Callable

import jsonschema
import pytest
from ray.autoscaler._private.util import prepare_config

from tests.yellowdog_ray.config.test_bootstrap import RAY_SCHEMA
from yellowdog_ray.commands.deliver import for_the_head, upload_files
from yellowdog_ray.provider import RayDogNodeProvider
from yellowdog_ray.remote.ssh import SshTarget


def test_mapped_files_are_copied_to_the_given_remote_paths(monkeypatch):
    uploaded: dict[str, str] = {}
    target = recording_target(monkeypatch, uploaded)

    upload_files(target, {"~/data/x": "x", "/opt/y": "y"})

    assert uploaded == {"data/x": "x", "/opt/y": "y"}


def recording_target(monkeypatch: pytest.MonkeyPatch, uploaded: dict[str, str]) -> SshTarget:
    record: Callable[..., None] = lambda self, local, remote: uploaded.__setitem__(remote, local)  # noqa: E731
    monkeypatch.setattr(SshTarget, "upload", record)
    return SshTarget("yd-agent", "10.0.0.1", "key", "head-1")


def test_config_for_the_head_has_no_local_path(platform, in_a_users_folder, cluster_yaml, ssh_key):
    cluster_yaml["provider"]["files_to_upload"] = [str(ssh_key)]
    config = RayDogNodeProvider.bootstrap_config(cluster_yaml)
    config["provider"]["_config_cache_path"] = str(ssh_key.parent / "ray-config-x")
    config["auth"]["ssh_private_key"] = "~/ray_bootstrap_key.pem"  # Ray does that before it calls the provider

    for_head = for_the_head(config)

    assert str(ssh_key) not in json.dumps(for_head)
    assert "_config_cache_path" not in for_head["provider"]
    assert "files_to_upload" not in for_head["provider"]
    jsonschema.validate(for_head, RAY_SCHEMA)


def test_config_for_the_head_keeps_setup_commands_once(platform, in_a_users_folder, cluster_yaml):
    """Ray puts them before those of head and workers whenever it reads a configuration: here, and again on the head."""
    commands = {"setup_commands": ["every"], "head_setup_commands": ["head"], "worker_setup_commands": ["worker"]}
    config = RayDogNodeProvider.bootstrap_config(prepare_config(cluster_yaml | commands))

    on_head = prepare_config(for_the_head(config))

    assert config["head_setup_commands"] == ["every", "head"]
    assert on_head["worker_setup_commands"] == ["every", "worker"]
