"""Commands on an existing cluster: what they need of the YAML, and what they do not read."""

import pytest

from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.local_files import Need
from yellowdog_ray.errors import ConfigError


@pytest.mark.parametrize("need", [Need.NOTHING])
def test_command_that_removes_reads_no_local_path(cluster_yaml, tmp_path, need, monkeypatch):
    def refuse(*_):
        raise RuntimeError("a local path was read")

    cluster_yaml["file_mounts"] = {"~/data": "data"}
    monkeypatch.setattr("yellowdog_ray.config.local_files.locate", refuse)

    result, _ = bootstrap(cluster_yaml, "cluster.yaml", [tmp_path], need)

    assert (result["auth"], result["file_mounts"]) == ({}, {})


def test_missing_key_is_reported_with_the_yamls_name_by_commands_that_connect(cluster_yaml, tmp_path):
    cluster_yaml["auth"]["ssh_private_key"] = "/no/such/key"

    with pytest.raises(ConfigError, match=r"^cluster\.yaml: auth\.ssh_private_key: there is no file"):
        bootstrap(cluster_yaml, "cluster.yaml", [tmp_path], Need.SSH_KEY)
