"""The local files that a YAML names: where they are, and whether they can be used, before anything costs money.

Every relative path is searched in the same directories: beside the YAML, then the working directory. Must not import
`platform`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Any

from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.config.paths import path_mistake
from yellowdog_ray.config.remote_paths import check_no_conflict, check_remote_paths, remotes_below
from yellowdog_ray.config.script_texts import GZIP, is_address
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.printable import one_line

FILE_PREFIX = "file:"
_SCRIPT_ENDS = (".sh", ".bash", ".yaml", ".yml")

MAX_CHECKED_FILES = 10_000
"""How many files of a directory are checked, which takes less than a second; a directory may be a whole home."""


MAX_TEXT_BYTES = 1_000_000
"""Maximum bytes of a file whose text becomes a part of the YAML. cloud-init's data has at most 16 kB on most clouds."""


class Need(IntEnum):
    """How much of the YAML and its local files a command needs. One that reads or removes must work without them."""

    NOTHING = 0
    SSH_KEY_IF_USABLE = 1
    SSH_KEY = 2
    EVERYTHING = 3


def expand(name: str) -> Path:
    """A path with `~` expanded. An unknown user's `~` stays as it is, and so does a text that is no path."""
    try:
        return Path(os.path.expanduser(name))  # noqa: PTH111 - `Path.expanduser` raises for an unknown user
    except ValueError:
        return Path(name)


def candidates(name: str, folders: Sequence[Path]) -> list[Path]:
    """The places of a path, in the order of search: one place for an absolute path."""
    return list(dict.fromkeys(folder / expand(name) for folder in folders))


def locate(name: str, folders: Sequence[Path]) -> Path:
    """The first place of a path at which something exists, or else its first place."""
    places = candidates(name, folders)
    return next((place for place in places if os.path.lexists(place)), places[0])


def inline_files(
    section: Mapping[str, Any], keys: Sequence[str], source: str, path: str, folders: Sequence[Path]
) -> dict[str, Any]:
    """Replace each `file:<path>` value of `keys` by the text of that file, without a byte-order mark.

    Line ends of Windows become those of Linux, also in texts of the YAML.

    Args:
        section: the section of the YAML; it is not changed.
        keys: the keys that may name a file.
        source: the YAML's name, for messages.
        path: the section's place in the YAML, for messages.
        folders: the directories of relative paths, in the order of search.

    Raises:
        ConfigError: a named file does not exist, is empty, or is not text; or a path lacks `file:`.
    """
    inlined = dict(section)
    for key in keys:
        value = inlined.get(key)
        if not isinstance(value, str):
            continue
        name = value.strip().removeprefix(FILE_PREFIX).strip()
        if is_address(name):
            continue  # `check_scripts_of` refuses it
        if value.lstrip().startswith(FILE_PREFIX):
            _require_one_name(name, source, f"{path}.{key}")
            text = _file_text(name, source, f"{path}.{key}", folders)
            inlined[key] = text if "\n" in text else f"{text}\n"  # as text, it is not taken for a path again
        else:
            _refuse_path(value, source, f"{path}.{key}", folders)
            inlined[key] = value.replace("\r\n", "\n").replace("\r", "\n")  # as Python reads those of a file
    return inlined


def _require_one_name(name: str, source: str, key: str) -> None:
    if not name:
        raise ConfigError(f"{source}: {key} names no file: write its path after `{FILE_PREFIX}`, or remove the key")
    count = len(re.findall(rf"^\s*{FILE_PREFIX}", name, re.MULTILINE)) + 1
    if count > 1:
        further = ", and name the second in `extra_userdata`" if key.endswith(".userdata") else ""
        raise ConfigError(f"{source}: {key} names {count} files, and a key takes one: name one file{further}")


def _refuse_path(text: str, source: str, key: str, folders: Sequence[Path]) -> None:
    """Refuse a path where the text of a script belongs.

    A program of the image, at an absolute path that this machine lacks, may be meant. A text with a line break is none.
    """
    text = text.strip(" \t")
    has_prefix = text.lower().startswith(FILE_PREFIX) and "\n" not in text
    name = text[len(FILE_PREFIX) :].strip() if has_prefix else text
    if not has_prefix and (not text or re.search(r"\s", text)):
        return
    is_relative = not text.startswith(("/", "~", "$"))
    if has_prefix or (is_relative and text.endswith(_SCRIPT_ENDS)) or _is_file(locate(text, folders)):
        raise ConfigError(
            f"{source}: {key} is {shown(text)}, a path and no script. Write `{FILE_PREFIX}{one_line(name)}`, or, for "
            "a program of the image, a script of two lines that begins with `#!/bin/bash`"
        )


def _is_file(place: Path) -> bool:
    return path_mistake(str(place)) is None and os.path.isfile(place)  # noqa: PTH113 - as in `read_text`


def _file_text(name: str, source: str, key: str, folders: Sequence[Path]) -> str:
    advice = f"correct the path after `{FILE_PREFIX}`, or write the text inline"
    text = read_text(name, source, key, folders, advice)
    if not text.strip():
        raise ConfigError(f"{source}: {key}: {locate(name, folders)} is empty: write the text, or remove the key")
    return text


def read_text(name: str, source: str, key: str, folders: Sequence[Path], advice: str) -> str:
    """The text of a file, without a byte-order mark.

    Args:
        name: the path as the YAML has it.
        source: the YAML's name, for messages.
        key: the path's place in the YAML, for messages.
        folders: the directories of relative paths, in the order of search.
        advice: what to do if there is no such file.

    Raises:
        ConfigError: the file does not exist, or is not text.
    """
    check_path(name, source, key)
    place = locate(name, folders)
    if not os.path.isfile(place):  # noqa: PTH113 - `Path.is_file` raises for some paths
        raise ConfigError(f"{source}: {key}: {no_file(name, folders)}: {advice}")
    try:
        if place.stat().st_size > MAX_TEXT_BYTES:
            raise ConfigError(
                f"{source}: {key}: {place} has more than {MAX_TEXT_BYTES:,} bytes: copy large files with "
                "files_to_upload, or put them into the image"
            )
        return place.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        is_compressed = isinstance(error, UnicodeDecodeError) and error.object.startswith(GZIP)
        remedy = "decompress it with `gunzip`" if is_compressed else "make it readable, and save it as UTF-8"
        raise ConfigError(f"{source}: {key}: cannot read {place} as text ({error}): {remedy}") from error


def file_mounts(config: Mapping[str, Any], source: str, folders: Sequence[Path]) -> dict[str, str]:
    """Ray's `file_mounts` with absolute sources. Links are resolved: Ray would copy a link to a file as a link.

    Raises:
        ConfigError: a source cannot be read, or two sources have one remote path.
    """
    mounts = config.get("file_mounts") or {}
    check_remote_paths(mounts, source, "file_mounts")
    found = {remote: _source(local, source, f"file_mounts.{remote}", folders) for remote, local in mounts.items()}
    _check_no_file_is_a_folder(found, source, "file_mounts")
    return found


def files_to_upload(files: list[str] | Mapping[str, str], source: str, folders: Sequence[Path]) -> dict[str, str]:
    """`files_to_upload` as absolute local paths by remote path.

    A listed relative path keeps its place below the head's home; any other listed path goes to the home itself.

    Raises:
        ConfigError: a file cannot be read, or two files have one remote path.
    """
    key = "provider.files_to_upload"
    # The same file may be listed twice, by an absolute and a relative path.
    pairs = [(remote, _source(local, source, key, folders)) for remote, local in by_remote_path(files)]
    distinct = list(dict.fromkeys(pairs))
    check_remote_paths([remote for remote, _ in distinct], source, key)
    found = dict(distinct)
    _check_no_file_is_a_folder(found, source, key)
    return found


def check_together(mounts: Mapping[str, str], uploads: Mapping[str, str], source: str) -> None:
    """Refuse remote paths of `file_mounts` that contradict those of `files_to_upload`.

    Raises:
        ConfigError: a remote path has two sources, or would be both a file and a directory.
    """
    check_no_conflict(mounts, uploads, source)
    _check_no_file_is_a_folder({**mounts, **uploads}, source, "file_mounts, with provider.files_to_upload")


def by_remote_path(files: list[str] | Mapping[str, str]) -> list[tuple[str, str]]:
    """The pairs of remote and local path of `files_to_upload`."""
    return list(files.items()) if isinstance(files, Mapping) else [(_remote_path(file), file) for file in files]


def absolute(name: str, folders: Sequence[Path]) -> str:
    """The absolute path of a file, with links resolved. Never raises, whatever the path is."""
    place = locate(name, folders)
    try:
        return os.path.realpath(place)  # unlike `Path.resolve`, ends at a loop of links
    except (OSError, ValueError):
        return str(place)


def check_path(name: str, source: str, key: str) -> None:
    """Refuse a text that cannot be a path, such as a private key itself, without quoting it.

    Raises:
        ConfigError: it cannot.
    """
    if mistake := path_mistake(name):
        raise ConfigError(f"{source}: {key}: {mistake}")


def no_file(name: str, folders: Sequence[Path]) -> str:
    """The words of messages for a path at which there is no file."""
    place = locate(name, folders)
    if os.path.isdir(place):  # noqa: PTH112 - `Path.is_dir` raises for some paths
        return f"{place} is a directory, not a file"
    if os.path.lexists(place) and os.path.exists(place):  # noqa: PTH110 - `Path.exists` raises for some paths
        return f"{place} is no regular file"
    return f"there is no file {_tried(name, folders)}"


def is_path(value: object) -> bool:
    """Whether a value of the YAML can be a path."""
    return isinstance(value, str) and bool(value.strip())


def _check_no_file_is_a_folder(files: Mapping[str, str], source: str, key: str) -> None:
    for remote, local in files.items():
        below = remotes_below(remote, files)
        if below and os.path.isfile(local):  # noqa: PTH113 - as in `read_text`
            raise ConfigError(
                f"{source}: {key}: {remote} would be a file on the head, and the directory of {below[0]}: give one "
                "another remote path"
            )


def _remote_path(file: str) -> str:
    return Path(file).name if file.startswith(("/", "~", "..")) else file


def _source(name: object, source: str, key: str, folders: Sequence[Path]) -> str:
    if not isinstance(name, str) or not is_path(name):
        raise ConfigError(f"{source}: {key} is {shown(name)}: give the path of a local file or directory")
    check_path(name, source, key)
    _check_source(locate(name, folders), source, key, _tried(name, folders))
    return absolute(name, folders)


def _check_source(place: Path, source: str, key: str, tried: str) -> None:
    if not os.path.exists(place):  # noqa: PTH110 - `Path.exists` raises for a loop of links
        raise ConfigError(f"{source}: {key}: there is no file or directory {tried}: correct the path")
    for file in islice(files_of(place), MAX_CHECKED_FILES):
        # Ray opens each file, which fails for a dangling link and never returns for a named pipe.
        if not os.path.isfile(file) or not os.access(file, os.R_OK):  # noqa: PTH113
            raise ConfigError(
                f"{source}: {key}: {file} is no file that can be read: remove it, or make it readable with `chmod`"
            )


def files_of(place: Path) -> Iterator[Path]:
    """The files of a directory and of those in it; a file alone is its own."""
    if not place.is_dir():
        yield place
        return
    for folder, _, names in os.walk(place):
        yield from (Path(folder) / name for name in names)


def _tried(name: str, folders: Sequence[Path]) -> str:
    return " or ".join(str(place) for place in candidates(name, folders))
