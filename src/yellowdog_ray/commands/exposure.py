"""The warning about a head that other networks may reach, and that requires no token. No I/O, no state."""

from __future__ import annotations

import ipaddress

from yellowdog_ray.cluster.snapshot import ClusterNode
from yellowdog_ray.node.authentication import MODE_TOKEN


def exposure(head: ClusterNode | None, mode: str | None) -> str | None:
    """A warning, if the head has a public address and its Ray requires no token.

    Args:
        head: the head as the platform lists it.
        mode: the mode of Ray's authentication; None for a head of an earlier RayDog.
    """
    if mode == MODE_TOKEN or head is None or not _is_public(head.public_ip):
        return None
    return (
        f"the head has the public address {head.public_ip}, and its Ray requires no token. Everybody who reaches its "
        "ports can run programs there, and read the YellowDog API key. Let a firewall close all ports but 22 to other "
        "networks (docs/security.md), or run `ray down` and create the cluster with `ray_auth: token`"
    )


def _is_public(address: str | None) -> bool:
    """Whether an address is one of the Internet's; a name counts as one."""
    if address is None:
        return False
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return True
