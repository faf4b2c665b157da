"""The API key on the head: read again after another `ray up` replaced it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from yellowdog_ray.credentials import HEAD_FILE, Credentials, load_head_file
from yellowdog_ray.errors import CredentialsError
from yellowdog_ray.monitor.changed_file import ChangedFile

if TYPE_CHECKING:
    from yellowdog_ray.platform.client import Platform

logger = logging.getLogger(__name__)


class NewKey:
    """Lets the platform client use the key of the head's file once that changes.

    Args:
        platform: the platform.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._file = ChangedFile(Path(HEAD_FILE).expanduser())

    def read(self) -> None:
        """Use the file's key if it is another one. An unchanged file costs one `stat`."""
        try:
            if not self._file.has_changed():
                return
        except OSError:  # a head whose task has the key in its environment
            return
        try:
            credentials = load_head_file()
        except CredentialsError as error:
            logger.warning("The previous API key stays in use: %s", error)
            return
        self._use(credentials)

    def _use(self, credentials: Credentials) -> None:
        present = self._platform.credentials
        if credentials == present:
            return
        if credentials.url != present.url:
            logger.warning(
                "The previous API key stays in use: %s is for %s, and this cluster is on %s",
                self._file.path,
                credentials.url,
                present.url,
            )
            return
        self._platform.use(credentials)
        logger.info("The API key of %s is in use from now on", self._file.path)
