"""The cluster's token on the user's machine: where a new one comes from, and the file that holds it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.authentication import AGENT_AUTH_FILE, HEAD_AUTH_FILE, MODE_TOKEN
from yellowdog_ray.node.variables import AUTH_MODE, AUTH_TOKEN, AUTH_TOKEN_PATH
from yellowdog_ray.private_file import write_private
from yellowdog_ray.redaction import hide

_CLUSTERS = "~/.raydog/clusters"
_BYTES = 32
_EXPORTED = re.compile(rf"^\s*(?:export\s+)?{AUTH_TOKEN}=[\"']?([^\s\"'$;]+)", re.MULTILINE)
_MOUNTED = (f"~/{HEAD_AUTH_FILE}", AGENT_AUTH_FILE)


def token_file(namespace: str, cluster_name: str) -> Path:
    """The file with a cluster's token on this machine."""
    return Path(_CLUSTERS).expanduser() / f"{namespace}.{cluster_name}" / "auth_token"


def keep_token(file: Path, token: str) -> None:
    """Write the token into a file that only its owner can read, atomically."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, token.encode())


def forget_token(file: Path) -> None:
    """Remove the file, and its folder."""
    with contextlib.suppress(OSError):
        shutil.rmtree(file.parent)


def export_line(file: Path) -> str:
    """The line that lets Ray's commands on this machine use the cluster."""
    return f"export {AUTH_MODE}={MODE_TOKEN} {AUTH_TOKEN_PATH}={shlex.quote(str(file))}"


class UsersToken:
    """A token that the user brings, instead of a random one.

    Attributes:
        text: the token.
        place: where it was found, for messages.
        is_mounted: whether Ray itself copies it to the nodes at each `ray up`.
    """

    def __init__(self, text: str, place: str, *, is_mounted: bool = False) -> None:
        self.text = text
        self.place = place
        self.is_mounted = is_mounted


def users_token(file_mounts: Mapping[str, str], settings: ProviderSettings) -> UsersToken | None:
    """The user's own token: in a file that the YAML mounts as Ray's default file, a script, or the environment.

    A file of RayDog's for a cluster does not count: it is there for `ray job submit` and the like.

    Raises:
        ConfigError: the file cannot be used.
    """
    for remote in _MOUNTED:
        if local := file_mounts.get(remote):
            place = f"{settings.internal.source}: file_mounts.{remote}"
            return UsersToken(_read(Path(local), place), "file_mounts", is_mounted=True)
    if exported := _EXPORTED.search(settings.ray_head_node_task_script or ""):
        return UsersToken(_checked(exported[1], AUTH_TOKEN), "provider.ray_head_node_task_script")
    if token := os.environ.get(AUTH_TOKEN):
        return UsersToken(_checked(token, AUTH_TOKEN), AUTH_TOKEN)
    if path := os.environ.get(AUTH_TOKEN_PATH):
        file = Path(path).expanduser()
        if Path(_CLUSTERS).expanduser() in file.parents:
            return None
        return UsersToken(_read(file, AUTH_TOKEN_PATH), f"{AUTH_TOKEN_PATH} ({file})")
    return None


class ClusterToken:
    """The token of one cluster, under `ray up`.

    Args:
        settings: the `provider` section.
        cluster_name: the cluster.
        file_mounts: the YAML's `file_mounts`.

    Attributes:
        proposed: the token for a head that has none yet.
    """

    def __init__(self, settings: ProviderSettings, cluster_name: str, file_mounts: Mapping[str, str]) -> None:
        self._file = token_file(settings.cluster_namespace, cluster_name)
        self._source = settings.internal.source
        self._brought = users_token(file_mounts, settings)
        self.proposed = self._brought.text if self._brought else secrets.token_hex(_BYTES)
        hide(self.proposed)

    def accept(self, on_head: str) -> list[str]:
        """Keep the token that the head has.

        Returns:
            What the user needs to know.

        Raises:
            ConfigError: Ray would copy another token over the head's.
        """
        hide(on_head)
        keep_token(self._file, on_head)
        reports = [f"Ray's commands on this machine, such as `ray job submit`, need: {export_line(self._file)}"]
        brought = self._brought
        if brought is None or brought.text == on_head:
            return reports
        if brought.is_mounted:
            raise ConfigError(
                f"{self._source}: {brought.place} brings another token than the one that the running cluster has: "
                f"copy {self._file} into that file, or run `ray down` first. Ray was left as it is"
            )
        return [*reports, f"warning: {brought.place} has another token than the running cluster, which keeps its own"]


def _read(file: Path, place: str) -> str:
    try:
        text = file.expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{place}: {file} cannot be read as a token of Ray's: correct or remove it") from error
    return _checked(text, f"{place} ({file})")


def _checked(text: str, place: str) -> str:
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{place} is no token: give one line of printable ASCII characters without spaces")
    hide(token)
    return token
