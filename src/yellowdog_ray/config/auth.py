"""The YAML's `auth`: at the top level, or under `provider`. No I/O except reading the public key that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yellowdog_ray.config.local_files import absolute, read_text
from yellowdog_ray.config.mistakes import Mistake
from yellowdog_ray.config.models import parse_auth
from yellowdog_ray.errors import ConfigError

MISSING = Mistake(("auth",), " is missing: add `auth:` with `ssh_user: yd-agent` and `ssh_private_key: <path>`")


def absolute_auth(config: Mapping[str, Any], source: str, folders: Sequence[Path]) -> tuple[dict[str, Any], str]:
    """The section with absolute paths, and the private key's path as the YAML has it.

    Raises:
        ConfigError: the section is missing, or a key of it is missing, unknown or wrong.
    """
    auth = config.get("auth") or config["provider"].get("auth")
    if not auth:
        raise ConfigError(f"{source}: {MISSING}")
    key = parse_auth(auth, source)
    # Ray passes the path to rsync and ssh without a shell that would expand it.
    paths = {"ssh_private_key": absolute(key, folders)}
    if auth.get("ssh_public_key"):
        paths["ssh_public_key"] = absolute(auth["ssh_public_key"], folders)
    return {**{name: value for name, value in auth.items() if value is not None}, **paths}, key


def check_public_key(auth: Mapping[str, Any], source: str, folders: Sequence[Path]) -> None:
    """Refuse an `ssh_public_key` that Ray could not read. RayDog does not use it.

    Raises:
        ConfigError: the file does not exist, or is not text.
    """
    if auth.get("ssh_public_key"):
        read_text(
            auth["ssh_public_key"], source, "auth.ssh_public_key", folders, "remove the key, which RayDog ignores"
        )
