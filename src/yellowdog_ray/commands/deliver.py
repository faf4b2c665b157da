"""Send the head what no task may carry, over SSH before Ray starts: API key, token, extra files, the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yellowdog_ray.config.local_files import by_remote_path
from yellowdog_ray.config.models import INTERNAL_KEY, ProviderSettings
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.errors import HeadUnusable, SshError
from yellowdog_ray.node.authentication import MODE_TOKEN
from yellowdog_ray.remote.head_files import TOKEN_MARK, Authentication, program
from yellowdog_ray.remote.package import REFUSAL, Package, running_version, unpack_program
from yellowdog_ray.remote.ssh import UPLOAD_SECONDS, SshTarget

_REMOTE_KEY = "~/ray_bootstrap_key.pem"
_LOCAL_ONLY = ("token_file", "token_place")
"""Keys of `Internal` with paths of the user's machine."""


@dataclass(frozen=True)
class Delivered:
    """The report of a head.

    Attributes:
        token: the token that it has; empty without token authentication.
        running: RayDog's version in the autoscaler that runs there; None if none runs, or an earlier RayDog does.
    """

    token: str = field(default="", repr=False)
    running: str | None = None


def deliver(
    target: SshTarget,
    credentials: Credentials,
    settings: ProviderSettings,
    authentication: Authentication,
    package: Package,
) -> Delivered:
    """Send the head what the monitor needs and no task may carry: API key, token, RayDog, and the user's extra files.

    Raises:
        HeadUnusable: the head cannot take RayDog's package.
        SshError: a file could not be written, or the token not be read.
    """
    text = program(credentials, authentication) + unpack_program(package)
    try:
        output = target.run("sh -s", text.encode(), UPLOAD_SECONDS)
    except SshError as error:
        if REFUSAL in str(error):
            raise HeadUnusable(str(error)) from error
        raise
    upload_files(target, dict(by_remote_path(settings.files_to_upload)))
    # A login shell may print other lines.
    tokens = [line.removeprefix(TOKEN_MARK) for line in output.splitlines() if line.startswith(TOKEN_MARK)]
    if authentication.mode == MODE_TOKEN and not tokens:
        raise SshError(f"{target.address}: the head did not report its token")
    return Delivered(tokens[-1] if tokens else "", running_version(output, target.node_id))


def upload_files(target: SshTarget, files: Mapping[str, str]) -> None:
    """Copy the user's extra files.

    Args:
        target: the head.
        files: local paths by remote path.
    """
    for remote, local in files.items():
        target.upload(local, remote.removeprefix("~/"))


def for_the_head(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as the head needs it: without paths and SSH proxies of the user's machine.

    Ray has put `setup_commands` before those of head and workers, and on the head it would do so once more.
    """
    provider = dict(config["provider"])
    provider.pop("_config_cache_path", None)
    provider.pop("files_to_upload", None)
    provider["auth"] = {"ssh_user": config["auth"]["ssh_user"], "ssh_private_key": _REMOTE_KEY}
    auth = {key: value for key, value in config["auth"].items() if key != "ssh_public_key"}
    internal = {key: value for key, value in provider.get(INTERNAL_KEY, {}).items() if key not in _LOCAL_ONLY}
    return {**config, "provider": {**provider, INTERNAL_KEY: internal}, "auth": auth, "setup_commands": []}
