"""Ports of the head that other servers use. No I/O, no state."""

from __future__ import annotations

from yellowdog_ray.node import ports
from yellowdog_ray.node.authentication import TOKEN_SERVICE_PORT
from yellowdog_ray.node.variables import DEFAULT_TAG_SERVER_PORT

USED_PORTS = {
    22: "SSH",
    ports.GCS_PORT: "Ray's control store",
    ports.DASHBOARD_PORT: "Ray's dashboard",
    TOKEN_SERVICE_PORT: "RayDog's token service",
    ports.CLIENT_SERVER_PORT: "Ray's client server",
    ports.AUTOSCALER_METRICS_PORT: "the metrics of Ray's autoscaler",
    ports.DASHBOARD_METRICS_PORT: "the metrics of Ray's dashboard",
    ports.DASHBOARD_AGENT_PORT: "Ray's dashboard agent",
    **{port: f"Ray ({option})" for option, port in ports.RAY_START_PORTS.items()},
}
"""The fixed ports of the head's other servers."""


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
