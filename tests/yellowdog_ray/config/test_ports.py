"""Ports of the head that the tag server may not have."""

import pytest

from yellowdog_ray.config.models import parse_provider
from yellowdog_ray.config.ports import USED_PORTS
from yellowdog_ray.errors import ConfigError


@pytest.mark.parametrize("port", [22, 6379, 8265, 10001, *USED_PORTS])
def test_tag_server_port_that_another_server_uses_is_refused(port):
    section = {"cluster_namespace": "demo", "head_node_tag_server_port": port}

    with pytest.raises(ConfigError, match=rf"head_node_tag_server_port.* port {port} of the head is used by") as caught:
        parse_provider(section, "cluster.yaml")

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("port", [16667, 6380])
def test_other_tag_server_port_is_accepted(port):
    section = {"cluster_namespace": "demo", "head_node_tag_server_port": port}

    assert parse_provider(section, "cluster.yaml").head_node_tag_server_port == port
