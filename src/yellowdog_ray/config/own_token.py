"""A token that the YAML brings: in a file that Ray copies to the head, or in its task script. Reads no content."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from yellowdog_ray.config.remote_paths import below_home
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.authentication import HEAD_AUTH_FILE, MODE_TOKEN
from yellowdog_ray.node.variables import AUTH_MODE, AUTH_TOKEN, AUTH_TOKEN_PATH

SCRIPT_KEY = "provider.ray_head_node_task_script"
WORKER_KEY = "provider.ray_worker_node_task_script"

_LONGEST_LINE = 1_000
"""Characters of a line that is read: the patterns take quadratic time."""

_PLAIN = r"[A-Za-z0-9_@%+=:,./-]+"
_MENTION = re.compile(rf"\b{AUTH_TOKEN}\b")
_ASSIGNED = re.compile(
    rf"\s*(export\s+)?{AUTH_TOKEN}=(?:'({_PLAIN})'|\"({_PLAIN})\"|({_PLAIN}))\s*(;\s*export\s+{AUTH_TOKEN}\s*)?;?\s*(?:\s#.*)?"
)
_EXPORTED = re.compile(rf"\s*export\s+{AUTH_TOKEN}\s*;?\s*(?:\s#.*)?")
_RAYS = f"({AUTH_MODE}|{AUTH_TOKEN_PATH})"
_SETTING = re.compile(rf"(?<![${{\w]){_RAYS}=([^\s;&|]*)|\bunset\s[^;&|]*\b{_RAYS}\b")
_FOR_A_CONTAINER = re.compile(r"\s(?:-e|--env)[\s=]*$")
_ADVICE = f"name a file with the token in {AUTH_TOKEN_PATH}, or in file_mounts as ~/{HEAD_AUTH_FILE}"


def mounted_token(file_mounts: Mapping[str, str]) -> dict[str, str]:
    """The local file that Ray copies over the head's token, as values of `Internal`; empty if there is none.

    Args:
        file_mounts: absolute local paths by remote path. A directory counts if it contains the file.
    """
    found = [
        (len(below_home(remote)), remote, file)
        for remote, local in file_mounts.items()
        if (file := _token_below(remote, local)) is not None
    ]
    if not found:
        return {}
    _, remote, file = max(found)
    return {"token_file": str(file), "token_place": f"file_mounts.{remote}"}


def refuse_upload(files: Iterable[tuple[str, str]], source: str) -> None:
    """Refuse a token in `files_to_upload`: it would replace the head's after RayDog has read that.

    Args:
        files: pairs of remote and absolute local path.
        source: the YAML's name, for messages.

    Raises:
        ConfigError: a file, or a file of a directory, is Ray's default file for the token.
    """
    for remote, local in files:
        if _token_below(remote, local) is not None:
            raise ConfigError(
                f"{source}: provider.files_to_upload: {remote} would replace the cluster's token on the head: remove "
                f"it, and {_ADVICE}"
            )


def check_scripts(head: str, worker: str, mode: str, source: str) -> None:
    """Refuse task scripts that change how Ray authenticates the cluster's processes.

    A worker's script may export the same token as the head's; every worker has the cluster's token anyway.

    Args:
        head: the head's task script.
        worker: the workers' task script.
        mode: the mode of Ray's authentication in the cluster.
        source: the YAML's name, for messages.

    Raises:
        ConfigError: a script sets or unsets Ray's variables, or exports a token that cannot be read.
    """
    refuse_settings(head, SCRIPT_KEY, mode, source)
    refuse_settings(worker, WORKER_KEY, mode, source)
    if mode != MODE_TOKEN:
        return
    of_head, of_worker = script_token(head, source), script_token(worker, source, WORKER_KEY)
    if of_worker is not None and of_worker != of_head:
        raise ConfigError(
            f"{source}: {WORKER_KEY} exports another {AUTH_TOKEN} than {SCRIPT_KEY}: remove it. Workers receive the "
            "cluster's token from the head"
        )


def refuse_settings(script: str, key: str, mode: str, source: str) -> None:
    """Refuse a task script that sets or unsets Ray's variables of authentication.

    Raises:
        ConfigError: it does, with one line for each place.
    """
    mistakes: list[str] = []
    for number, line in enumerate(script.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        for found in _SETTING.finditer(line):
            name, value = found.group(1) or found.group(3), (found.group(2) or "").strip("'\"")
            is_harmless = (name == AUTH_MODE and value == mode) or _FOR_A_CONTAINER.search(line[: found.start()])
            if not is_harmless:
                mistakes.append(
                    f"{source}: {key}: line {number} changes {name}, which RayDog sets in every task: remove the "
                    f"variable from the script. For a token of your own, {_ADVICE}; for none, write `ray_auth: none` "
                    "under provider"
                )
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def script_token(script: str, source: str, key: str = SCRIPT_KEY) -> str | None:
    """The token that a task script exports as a literal; None if it does not mention the variable.

    Raises:
        ConfigError: the script mentions the variable, and its value cannot be read with certainty.
    """
    values: set[str] = set()
    mentions: list[int] = []
    is_exported = False
    for number, line in enumerate(script.splitlines(), 1):
        if line.lstrip().startswith("#") or not _MENTION.search(line):
            continue
        mentions.append(number)
        if len(line) > _LONGEST_LINE:
            raise _unreadable(number, source, key)
        if assigned := _ASSIGNED.fullmatch(line):
            export, *texts, export_after = assigned.groups()
            values.update(filter(None, texts))
            is_exported = is_exported or bool(export or export_after)
        elif _EXPORTED.fullmatch(line):
            is_exported = True
        else:
            raise _unreadable(number, source, key)
    if not mentions:
        return None
    if len(values) != 1 or not is_exported:
        raise _unreadable(mentions[-1], source, key)
    return values.pop()


def _unreadable(line: int, source: str, key: str) -> ConfigError:
    return ConfigError(
        f"{source}: {key}: RayDog cannot read the token from line {line}, which mentions {AUTH_TOKEN}. Remove "
        f"the variable from the script, and {_ADVICE}; or write `ray_auth: none` under provider"
    )


def _token_below(remote: str, local: str) -> Path | None:
    """The local file that becomes the head's token when `local` is copied to `remote`, if one does."""
    place = below_home(remote)
    if place == HEAD_AUTH_FILE:
        return Path(local)
    if place != "." and not HEAD_AUTH_FILE.startswith(f"{place}/"):
        return None
    file = Path(local) / posixpath.relpath(HEAD_AUTH_FILE, place)
    return file if file.exists() else None
