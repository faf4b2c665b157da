"""Send the head what no task may carry, over SSH before Ray starts: API key, extra files, the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from yellowdog_ray.config.local_files import Need, files_to_upload
from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.credentials import HEAD_FILE, Credentials
from yellowdog_ray.remote.ssh import SshTarget

_REMOTE_KEY = "~/ray_bootstrap_key.pem"


def deliver(target: SshTarget, credentials: Credentials, settings: ProviderSettings) -> None:
    """Send the head what the monitor needs and no task may carry: the API key, and the user's extra files.

    Raises:
        SshError: a file could not be written.
    """
    target.write_secret(credentials.as_dotenv(), PurePosixPath(HEAD_FILE).relative_to("~").as_posix())
    files = files_to_upload(settings.files_to_upload, settings.internal.source, [Path.cwd()], Need.NOTHING)
    upload_files(target, files)


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
    return {**config, "provider": provider, "auth": auth, "setup_commands": []}
