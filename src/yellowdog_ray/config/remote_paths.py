"""Where the YAML's files go on the head, and which places there are not the user's. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.variables import DEFAULT_AGENT_HOME

_HOME = re.compile(r"^(?:/root|/home/[^/]+)/")
_OURS = ("~/.raydog", "~/ray_bootstrap_config.yaml", "~/ray_bootstrap_key.pem")
"""RayDog's folder on the head, and the files that Ray itself uploads for its autoscaler."""


def check_remote_paths(remotes: Iterable[str], source: str, key: str) -> None:
    """Refuse remote paths that two files would share, and those of RayDog and Ray themselves.

    Args:
        remotes: the paths on the head, absolute or below its home.
        source: the YAML's name, for messages.
        key: the paths' place in the YAML, for messages.

    Raises:
        ConfigError: one of them cannot be used.
    """
    found: dict[str, str] = {}
    for remote in remotes:
        if not str(remote).strip() or any(character in str(remote) for character in "\n\r\0"):
            raise ConfigError(f"{source}: {key} has the remote path {shown(remote)}: give a path on the head")
        place = _place(str(remote))
        if place == "/":
            raise ConfigError(f"{source}: {key} has the remote path {remote}: name a file or folder below it")
        if any(place == own or place.startswith(f"{own}/") for own in _OURS):
            raise ConfigError(
                f"{source}: {key} has the remote path {remote}, which RayDog and Ray use themselves: name another"
            )
        if place in found:
            raise ConfigError(
                f"{source}: {key}: two files would become {place} on the head ({found[place]} and {remote}): give each "
                "a remote path of its own"
            )
        found[place] = remote


def remotes_below(remote: str, others: Iterable[str]) -> list[str]:
    """Those of the other remote paths that are below this one."""
    place = _place(remote)
    return [other for other in others if _place(other).startswith(f"{place}/")]


def below_home(remote: str) -> str:
    """A remote path relative to the agent's home directory; another absolute path stays absolute."""
    path = posixpath.normpath(remote)
    for home in ("~", DEFAULT_AGENT_HOME):
        if path == home or path.startswith(f"{home}/"):
            return path[len(home) + 1 :] or "."
    return path


def _place(remote: str) -> str:
    path = below_home(_HOME.sub("~/", posixpath.normpath(remote)))
    return re.sub("^//+", "/", posixpath.normpath(posixpath.join("~", path)))
