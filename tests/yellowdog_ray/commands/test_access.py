"""How nodes are reached by SSH."""

import pytest

from tests.yellowdog_ray.ray_cli import make_provider


@pytest.mark.parametrize(
    ("keys", "private"),
    [
        ({}, False),
        ({"use_internal_ips": True}, True),
        ({"use_internal_ips": True, "use_external_head_ip": True}, False),
    ],
    ids=["neither", "internal", "internal, but not the head's"],
)
def test_ssh_settings_choose_address_by_yaml(in_a_users_folder, cluster_yaml, keys, private):
    cluster_yaml["provider"].update(keys)

    assert make_provider(cluster_yaml).side.access.ssh.use_private_ip is private
