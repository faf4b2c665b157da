"""The cluster's token on the user's machine: where a new one comes from, and the file that holds it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
from pathlib import Path

from yellowdog_ray.config.local_files import expand
from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.config.own_token import SCRIPT_KEY, script_token
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.authentication import MODE_TOKEN
from yellowdog_ray.node.variables import AUTH_MODE, AUTH_TOKEN, AUTH_TOKEN_PATH
from yellowdog_ray.private_file import make_private_folder, write_private
from yellowdog_ray.redaction import hide

_CLUSTERS = "~/.raydog/clusters"
_BYTES = 32


def token_file(namespace: str, cluster_name: str) -> Path:
    """The file with a cluster's token on this machine."""
    return Path(_CLUSTERS).expanduser() / f"{namespace}.{cluster_name}" / "auth_token"


def keep_token(file: Path, token: str) -> None:
    """Write the token into a file that only its owner can read, atomically.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        make_private_folder(file.parent)
        write_private(file, token.encode())
    except OSError as error:
        raise _unwritable(file, error.strerror or str(error)) from error


def _unwritable(file: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{file}, where `ray up` keeps the cluster's token, cannot be written ({why}): make its directory writable for "
        "you, and run `ray up` again"
    )


def delete_token(file: Path) -> None:
    """Delete the file, and its directory."""
    with contextlib.suppress(OSError):
        shutil.rmtree(file.parent)


def export_line(file: Path) -> str:
    """The line that lets Ray's commands on this machine use the cluster."""
    return f"export {AUTH_MODE}={MODE_TOKEN} {AUTH_TOKEN_PATH}={shlex.quote(str(file))}"


class UsersToken:
    """A token that the user provides, instead of a random one.

    Attributes:
        text: the token.
        place: where it was found, for messages.
        is_mounted: whether Ray itself copies it to the nodes at each `ray up`.
    """

    def __init__(self, text: str, place: str, *, is_mounted: bool = False) -> None:
        self.text = text
        self.place = place
        self.is_mounted = is_mounted


def users_token(settings: ProviderSettings) -> UsersToken | None:
    """The user's own token: in a file that the YAML mounts as Ray's default file, a script, or the environment.

    A file of RayDog's for a cluster does not count: it is there for `ray job submit` and the like. Nothing counts with
    `ray_auth: none`.

    Raises:
        ConfigError: the token cannot be used.
    """
    if settings.auth_mode != MODE_TOKEN:
        return None
    internal = settings.internal
    if internal.token_file:
        place = f"{internal.source}: {internal.token_place}"
        return UsersToken(_read(Path(internal.token_file), place), internal.token_place, is_mounted=True)
    if exported := script_token(settings.ray_head_node_task_script or "", internal.source):
        return UsersToken(_checked(exported, f"{internal.source}: {SCRIPT_KEY}"), SCRIPT_KEY)
    if token := os.environ.get(AUTH_TOKEN):
        return UsersToken(_checked(token, AUTH_TOKEN), AUTH_TOKEN)
    if path := os.environ.get(AUTH_TOKEN_PATH):
        file = expand(path)
        if _resolved(expand(_CLUSTERS)) in _resolved(file).parents:
            return None
        return UsersToken(_read(file, AUTH_TOKEN_PATH), f"{AUTH_TOKEN_PATH} ({file})")
    return None


class ClusterToken:
    """The token of one cluster, under `ray up`.

    Args:
        settings: the `provider` section.
        cluster_name: the cluster.

    Attributes:
        proposed: the token for a head that has none yet.
    """

    def __init__(self, settings: ProviderSettings, cluster_name: str) -> None:
        self._file = token_file(settings.cluster_namespace, cluster_name)
        self._source = settings.internal.source
        self._users_token = users_token(settings)
        self.proposed = self._users_token.text if self._users_token else secrets.token_hex(_BYTES)
        hide(self.proposed)

    def check_file(self) -> None:
        """Check that the token can be kept on this machine, before anything costs money. Leaves nothing.

        Raises:
            ConfigError: it cannot.
        """
        if self._file.is_dir():
            raise _unwritable(self._file, "it is a directory")
        trial = self._file.with_name("auth_token.trial")
        keep_token(trial, self.proposed)
        trial.unlink()
        with contextlib.suppress(OSError):  # the file of an earlier `ray up` is there
            self._file.parent.rmdir()

    def adopt(self, head_token: str) -> list[str]:
        """Keep the token that the head has.

        Returns:
            The messages for the user.

        Raises:
            ConfigError: Ray would copy another token over the head's, or the file cannot be written.
        """
        hide(head_token)
        keep_token(self._file, head_token)
        reports = [f"Ray's commands on this machine, such as `ray job submit`, need: {export_line(self._file)}"]
        own = self._users_token
        if own is None or own.text == head_token:
            return reports
        if own.is_mounted:
            raise ConfigError(
                f"{self._source}: {own.place} differs from the running cluster's token: "
                f"copy {self._file} into that file, or run `ray down` first. Ray was left as it is"
            )
        return [*reports, f"warning: {own.place} has another token than the running cluster, which keeps its own"]


def _resolved(path: Path) -> Path:
    """The path without links and `..`. `Path.resolve` raises for a loop of links."""
    return Path(os.path.realpath(path))


def _read(file: Path, place: str) -> str:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{place}: {file} cannot be read as a Ray token: correct or remove it") from error
    return _checked(text, f"{place} ({file})")


def _checked(text: str, place: str) -> str:
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{place} is no token: give one line of printable ASCII characters without spaces")
    hide(token)
    return token
