"""How nodes are reached by SSH."""

from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.ray_cli import make_provider
from yellowdog_ray.commands.access import NodeAccess, SshSettings


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


@pytest.mark.parametrize("node", [None, SimpleNamespace(id="head-1", private_ip=None, public_ip=None)])
def test_check_passes_while_a_node_has_no_address(node):
    ssh = SshSettings("me", "key", None, use_private_ip=False, use_node_id=False)

    NodeAccess("demo", ssh, 6380, lambda: None).check(node)
