"""Reads a YAML's text; what of it neither Python nor JSON can hold, before anything else is checked."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from yellowdog_ray.config.mistakes import Mistake, Place
from yellowdog_ray.errors import ConfigError

MAX_FILE_BYTES = 500_000
"""Maximum bytes of a cluster's YAML. PyYAML takes 3 s for as many; cloud-init's data has at most 16 kB."""

MAX_VALUES = 100_000
"""Maximum values of a cluster's YAML with every alias written out: ten aliases in a row may stand for billions."""

UNREADABLE = (yaml.YAMLError, ValueError, AttributeError, KeyError, TypeError)
"""The errors that PyYAML raises for a text that is no YAML, and for a value that does not fit its tag."""

ENDLESS = "the file contains itself by an alias, or is nested too deeply: write every value out"

TOO_MANY_VALUES = (
    f"the file has more than {MAX_VALUES:,} values with its aliases written out: remove aliases of parts that have "
    "aliases themselves"
)

_PLAIN = (str, int, float, type(None))


def read_text(file: Path) -> str:
    """The text of a YAML, without a byte-order mark.

    Raises:
        ConfigError: it is no regular file, too large, or no text.
    """
    try:
        state = _regular(file)
        if state.st_size > MAX_FILE_BYTES:
            raise ConfigError(
                f"{file} has {state.st_size:,} bytes, and a cluster's YAML at most {MAX_FILE_BYTES:,}: put long texts "
                "into files, and name them as `file:<path>`"
            )
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} cannot be read as text ({error}): save it as UTF-8") from error
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error


def require_file(file: Path) -> None:
    """Check that a YAML's path is that of a regular file, without reading it.

    Raises:
        ConfigError: it is not.
    """
    try:
        _regular(file)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error


def _regular(file: Path) -> os.stat_result:
    state = file.stat()
    if not stat.S_ISREG(state.st_mode):
        raise ConfigError(f"{file} is no regular file: give the path of the cluster's YAML")
    return state


def _unreadable(file: Path, error: OSError | ValueError) -> ConfigError:
    reason = getattr(error, "strerror", None) or str(error)
    return ConfigError(f"{file} cannot be read ({reason}): correct the path, or make the file readable")


def load(file: Path) -> Any:
    """The value of a YAML file.

    Raises:
        ConfigError: the file cannot be read, or has too many values.
        UNREADABLE, RecursionError: it is no YAML.
    """
    root = yaml.compose(read_text(file), yaml.SafeLoader)
    if root is None:
        return None
    if has_too_many_values(root):
        raise ConfigError(f"{file}: {TOO_MANY_VALUES}")
    return yaml.SafeLoader("").construct_document(root)


def has_too_many_values(root: yaml.Node) -> bool:
    """Whether a YAML has more than `MAX_VALUES` with its aliases written out. A part of itself counts once."""
    sizes: dict[int, int] = {}
    left = [(root, False)]
    while left:
        node, parts_are_counted = left.pop()
        if parts_are_counted:
            size = 1 + sum(sizes[id(part)] for part in _parts(node))
            sizes[id(node)] = min(size, MAX_VALUES + 1)
        elif id(node) not in sizes:
            sizes[id(node)] = 1
            left.append((node, True))
            left += [(part, False) for part in _parts(node)]
    return sizes[id(root)] > MAX_VALUES


def is_endless(config: object) -> bool:
    """Whether a YAML's value contains itself, or is nested too deeply."""
    try:
        json.dumps(config, default=str, skipkeys=True)
    except (RecursionError, ValueError):
        return True
    return False


def unreadable_scalar(root: yaml.Node) -> yaml.ScalarNode | None:
    """The first scalar of a YAML that does not fit its tag, such as `!!bool x`."""
    loader = yaml.SafeLoader("")
    seen: set[int] = set()
    left = [root]
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if not isinstance(node, yaml.ScalarNode):
            left += reversed(_parts(node))
            continue
        try:
            loader.construct_object(node)
        except UNREADABLE:
            return node
    return None


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.ScalarNode):
        return []
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)


def values_that_are_no_json(value: object, place: Place = ()) -> Iterator[Mistake]:
    """The values that Ray cannot pass on: bytes, dates and sets."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from values_that_are_no_json(part, (*place, str(key)))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from values_that_are_no_json(part, (*place, index))
    elif not isinstance(value, _PLAIN):
        yield Mistake(place, f" is of YAML's type {type(value).__name__}: write it as text, in quotes")
