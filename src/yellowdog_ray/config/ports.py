"""Ports of the head that other servers use. Pure."""

from __future__ import annotations

from yellowdog_ray.node.authentication import TOKEN_SERVICE_PORT
from yellowdog_ray.node.scripts import GCS_PORT
from yellowdog_ray.node.variables import DEFAULT_TAG_SERVER_PORT

USED_PORTS = {
    22: "SSH",
    GCS_PORT: "Ray's control store",
    8265: "Ray's dashboard",
    TOKEN_SERVICE_PORT: "RayDog's token service",
    10001: "Ray's client server",
    44217: "the metrics of Ray's autoscaler",
    44227: "the metrics of Ray's dashboard",
    52365: "Ray's dashboard agent",
}
"""The fixed ports of the head's other servers (`_private/ray_constants.py`, `autoscaler/_private/constants.py`,
`dashboard/consts.py` and `scripts/scripts.py` of Ray 2.60)."""


def free_port(port: int) -> int:
    """A port that none of these servers uses.

    Raises:
        ValueError: one of them does.
    """
    if port in USED_PORTS:
        raise ValueError(
            f"port {port} of the head is used by {USED_PORTS[port]}: choose another, for example "
            f"{DEFAULT_TAG_SERVER_PORT}"
        )
    return port
