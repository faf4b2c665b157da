"""Files that only SSH may carry to the head: the API key, and the user's extra files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.credentials import HEAD_FILE, Credentials
from yellowdog_ray.remote.ssh import SshTarget


def deliver(target: SshTarget, credentials: Credentials, settings: ProviderSettings) -> None:
    """Give the head what its autoscaler needs and no task may carry: the API key, and the user's extra files.

    Raises:
        SshError: a file could not be written.
    """
    target.write_secret(credentials.as_dotenv(), PurePosixPath(HEAD_FILE).relative_to("~").as_posix())
    upload_files(target, settings.files_to_upload)


def upload_files(target: SshTarget, files: list[str] | dict[str, str]) -> None:
    """Copy the user's extra files.

    Args:
        target: the head.
        files: local paths, or local paths by remote path. A listed relative path keeps its place below the head's
            home; any other listed path goes straight into the home.
    """
    if isinstance(files, list):
        files = {Path(file).name if file.startswith(("/", "~", "..")) else file: file for file in files}
    for remote, local in files.items():
        target.upload(local, remote.removeprefix("~/"))
