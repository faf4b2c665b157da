"""The configuration of a command that uses or ends a cluster: what it needs, whatever else the YAML has wrong.

No I/O except reading the private key that the YAML names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yellowdog_ray.config.auth import absolute_auth
from yellowdog_ray.config.local_files import Need, absolute, is_path
from yellowdog_ray.config.mistakes import Mistake, refuse
from yellowdog_ray.config.models import INTERNAL_KEY, usable_keys
from yellowdog_ray.config.ray_steps import without_mistakes
from yellowdog_ray.config.ssh_key import check_key
from yellowdog_ray.errors import ConfigError


def for_existing_cluster(
    config: Mapping[str, Any], mistakes: Sequence[Mistake], source: str, folders: list[Path], need: Need
) -> dict[str, Any]:
    """Reduce a YAML to what such a command needs.

    Args:
        config: the YAML as Ray has prepared it; it is not changed.
        mistakes: the mistakes in Ray's keys.
        source: the YAML's name, for messages.
        folders: the directories of relative paths, in the order of search.
        need: what the command needs of the local files; less than everything.

    Raises:
        ConfigError: a mistake in `provider.cluster_namespace`, or in `auth` if the command connects by SSH.
    """
    result = without_mistakes(config, mistakes)
    provider = {
        "disable_launch_config_check": True,
        "foreground_node_launch": True,
        INTERNAL_KEY: {"source": source, "is_partial": True},
        **usable_keys(result["provider"], source),
    }
    result["auth"] = provider["auth"] = _auth(result, mistakes, source, folders, need)
    if not result["auth"]:
        del provider["auth"]
    mounts = {} if need is Need.NOTHING else result["file_mounts"]
    result["file_mounts"] = {key: absolute(mounts[key], folders) for key in mounts if is_path(mounts[key])}
    return {**result, "provider": provider}


def _auth(
    config: Mapping[str, Any], mistakes: Sequence[Mistake], source: str, folders: list[Path], need: Need
) -> dict[str, Any]:
    """The section, checked if the command connects by SSH; empty if it is not needed, or has a mistake."""
    if need is Need.NOTHING:
        return {}
    if need is Need.SSH_KEY:
        refuse([mistake for mistake in mistakes if mistake.place[0] == "auth"], source)
        auth, key = absolute_auth(config, source, folders)
        check_key(key, source, folders)
        return auth
    with contextlib.suppress(ConfigError):
        return absolute_auth(config, source, folders)[0]
    return {}
