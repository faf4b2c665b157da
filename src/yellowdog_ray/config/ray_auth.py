"""Whether a new cluster uses Ray's token authentication, where the YAML does not say so. No I/O, no state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.ports import DASHBOARD_AGENT_PORT
from yellowdog_ray.node.ray_versions import FIRST_WITH_CLOSED_AGENTS, FIRST_WITH_TOKENS, has_tokens

FIRST = ".".join(map(str, FIRST_WITH_TOKENS))


def resolve(provider: Mapping[str, Any], ray_version: str, source: str) -> tuple[Any, list[str]]:
    """The value of `ray_auth`, and warnings. A stated value other than `token` stays as it is, to be checked later.

    Args:
        provider: the YAML's `provider` section.
        ray_version: the version of Ray on this machine.
        source: the YAML's name, for messages.

    Raises:
        ConfigError: this version of Ray cannot do what the YAML requires.
    """
    stated = provider.get("ray_auth")
    if stated is not None and stated != "token":
        return stated, []
    if has_tokens(ray_version):
        return "token", []
    if stated == "token":
        raise ConfigError(
            f"{source}: provider.ray_auth is token, and Ray {ray_version} on this machine has no token authentication. "
            f"Install Ray {FIRST} or later here and on the nodes, or write `ray_auth: none`"
        )
    return "none", [without_tokens(f"{source}: Ray {ray_version} on this machine")]


def without_tokens(subject: str) -> str:
    """The warning about a version of Ray that has no token authentication."""
    return (
        f"{subject} has no token authentication. Everybody who reaches the ports of the cluster's nodes can run "
        f"programs there, and read the YellowDog API key on the head. Use Ray {FIRST} or later, or a network that only "
        "you reach (docs/security.md)"
    )


def open_agents(subject: str) -> str:
    """The warning about a version of Ray whose dashboard agents require no token, where RayDog does not close them."""
    first = ".".join(map(str, FIRST_WITH_CLOSED_AGENTS))
    return (
        f"{subject} requires no token at port {DASHBOARD_AGENT_PORT}, unlike at other ports. Everybody who reaches "
        "that port of the cluster's nodes can run programs there, and read the YellowDog API key on the head. Use Ray "
        f"{first} or later, or a network that only you reach (docs/security.md)"
    )
