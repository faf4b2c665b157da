"""The warning about a head with a public address whose Ray requires no token."""

import pytest

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase
from yellowdog_ray.commands.exposure import exposure


def head_at(public_ip: str | None) -> ClusterNode:
    return ClusterNode("head-1", "task", "group", Phase.RUNNING, {}, "10.0.0.1", public_ip)


@pytest.mark.parametrize("mode", ["disabled", None])
@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "head.example.com"])
def test_head_with_public_address_and_no_token_gives_a_warning(mode, address):
    warning = exposure(head_at(address), mode)

    assert warning is not None
    assert address in warning
    assert "\n" not in warning


@pytest.mark.parametrize("address", [None, "10.207.0.2", "192.168.1.1", "fd00::1", "100.64.0.1"])
def test_head_without_public_address_gives_no_warning(address):
    assert exposure(head_at(address), "disabled") is None


def test_head_that_requires_a_token_gives_no_warning():
    assert exposure(head_at("8.8.8.8"), "token") is None


def test_unknown_head_gives_no_warning():
    assert exposure(None, "disabled") is None
