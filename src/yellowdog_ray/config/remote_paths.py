"""Where the YAML's files go on the head, and which places there are not the user's. No I/O, no state."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.config.paths import is_one_line
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.variables import DEFAULT_AGENT_HOME

_HOME = re.compile(r"^(?:/root|/home/[^/]+)(?=/|$)")
_HOLDS_HOMES = ("/", "/home", *(str(folder) for folder in PurePosixPath(DEFAULT_AGENT_HOME).parents), "~")
_EXPANDED = re.compile(r"[$`]")
_OTHERS_HOME = re.compile(r"~[^/]")
_OURS = ("~/.raydog", "~/ray_bootstrap_config.yaml", "~/ray_bootstrap_key.pem")
"""RayDog's directory on the head, and the files that Ray itself uploads for its autoscaler."""


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
        if not str(remote).strip() or not is_one_line(str(remote)):
            raise ConfigError(f"{source}: {key} has the remote path {shown(remote)}: give a path on the head")
        if _EXPANDED.search(str(remote)):
            raise ConfigError(
                f"{source}: {key} has the remote path {shown(remote)}, and RayDog expands no variable there: write an "
                "absolute path, or `~/` for the agent's home"
            )
        if _OTHERS_HOME.match(str(remote)):
            raise ConfigError(
                f"{source}: {key} has the remote path {shown(remote)}, in another user's home: write an absolute path, "
                "or `~/` for the agent's home"
            )
        place = _place(str(remote))
        if place in _HOLDS_HOMES:
            # Ray would also copy that directory of the head, with API key and token, to workers that it sets up.
            raise ConfigError(
                f"{source}: {key} has the remote path {remote}, which is or contains the agent's home: name a file or "
                "directory below it"
            )
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


def check_no_conflict(mounts: Mapping[str, str], uploads: Mapping[str, str], source: str) -> None:
    """Refuse a remote path at which `file_mounts` and `files_to_upload` would put different files.

    Args:
        mounts: absolute local paths by remote path, of `file_mounts`.
        uploads: the same of `files_to_upload`.
        source: the YAML's name, for messages.

    Raises:
        ConfigError: there is one.
    """
    uploaded = {_place(remote): local for remote, local in uploads.items()}
    for remote, local in mounts.items():
        other = uploaded.get(_place(remote), local)
        if other != local:
            raise ConfigError(
                f"{source}: file_mounts.{remote}: {local} and {other}, which provider.files_to_upload names, have the "
                "same remote path: remove one"
            )


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
    path = below_home(_HOME.sub("~", posixpath.normpath(remote)))
    return re.sub("^//+", "/", posixpath.normpath(posixpath.join("~", path)))
