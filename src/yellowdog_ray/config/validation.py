"""Every mistake of a YAML file at once, with line and column. Reads local files, and calls no platform."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from yellowdog_ray.config import models as cfg
from yellowdog_ray.config.auth import absolute_auth, check_public_key
from yellowdog_ray.config.bootstrap import bootstrap, check_cluster_name
from yellowdog_ray.config.duplicates import duplicate_keys
from yellowdog_ray.config.finding import Finding
from yellowdog_ray.config.local_files import file_mounts, files_to_upload, inline_files
from yellowdog_ray.config.mistakes import Mistake, shown
from yellowdog_ray.config.ray_keys import MODULE, missing_keys, ray_mistakes
from yellowdog_ray.config.ray_schema import with_empty_resources
from yellowdog_ray.config.readable import (
    ENDLESS,
    UNREADABLE,
    is_endless,
    unreadable_scalar,
    values_that_are_no_json,
)
from yellowdog_ray.config.shell_scripts import check_scripts_of
from yellowdog_ray.config.ssh_key import check_key
from yellowdog_ray.errors import ConfigError

_ENDS_OF_A_KEY = ".: ,"


def validate(file: Path) -> list[Finding]:
    """Find every mistake of a cluster's YAML, in the order of the file; or else its warnings.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as text: {error}") from error
    root = None
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        config = yaml.safe_load(text)
    except UNREADABLE as error:
        return [_syntax(error, root)]
    except RecursionError:
        return [Finding(1, 1, ENDLESS)]
    if is_endless(config):
        return [Finding(1, 1, ENDLESS)]
    if not isinstance(config, dict) or root is None:
        return [Finding(1, 1, "the file has no keys: start from examples/autoscaler/raydog.yaml")]
    folders = [file.resolve().parent, Path.cwd()]
    found = [
        *duplicate_keys(root),
        *(_at(root, text) for text in _mistakes(config, str(file), folders)),
    ]
    found = found or [_at(root, str(mistake)) for mistake in values_that_are_no_json(config)]
    if not found:
        found = list(_as_ray_would(root, config, str(file), folders))
    return sorted(found, key=lambda finding: (finding.line, finding.column))


def _syntax(error: Exception, root: yaml.Node | None) -> Finding:
    scalar = unreadable_scalar(root) if root is not None else None
    if scalar is not None:
        kind = scalar.tag.rpartition(":")[2]
        text = f"{shown(scalar.value)} cannot be read as YAML's type {kind}: write it in quotes, without a tag"
        return Finding(scalar.start_mark.line + 1, scalar.start_mark.column + 1, text)
    mark = getattr(error, "problem_mark", None)
    text = getattr(error, "problem", None) or str(error)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Finding(line, column, f"this is no YAML: {text}")


def _mistakes(config: dict[str, Any], source: str, folders: Sequence[Path]) -> Iterator[str]:
    """The messages of every check, each section apart from the others."""
    ray = [*missing_keys(config), *_not_raydog(config), *ray_mistakes(config)]
    yield from map(str, ray)
    wrong = {mistake.place[0] for mistake in ray}
    for part, check in _checks(config, source, list(folders)):
        if part not in wrong:
            yield from _messages(check, source)


def _not_raydog(config: Mapping[str, Any]) -> Iterator[Mistake]:
    """Values of `provider` with which Ray would load another provider, or none."""
    section = config.get("provider")
    if not isinstance(section, Mapping):
        return
    if section.get("type", "external") != "external":
        yield Mistake(("provider", "type"), f" is {shown(section['type'])}: write `type: external`")
    module = section.get("module", MODULE)
    if not _is_raydog(module):
        yield Mistake(
            ("provider", "module"), f" is {shown(module)}, which is not RayDog's provider: write `module: {MODULE}`"
        )


def _is_raydog(module: object) -> bool:
    """Whether Ray loads RayDog's provider, or a class derived from it, by this path."""
    name, _, attribute = str(module).rpartition(".")
    try:
        found = getattr(importlib.import_module(name), attribute, None)
    except (ImportError, ValueError):
        return False
    return any(base.__module__.startswith("yellowdog_ray.") for base in getattr(found, "__mro__", ()))


def _checks(config: Mapping[str, Any], source: str, folders: list[Path]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each check of RayDog's own, with the key of the top level that it reads."""
    section = config.get("provider")
    provider: Mapping[str, Any] = section if isinstance(section, Mapping) else {}
    yield "cluster_name", partial(check_cluster_name, config.get("cluster_name"), source)
    yield "provider", partial(cfg.parse_provider, provider, source)
    for key in cfg.PROVIDER_FILE_KEYS:
        yield "provider", partial(_check_script, provider, key, source, "provider", folders)
    yield "auth", lambda: _check_auth({**config, "provider": provider}, source, folders)
    yield "file_mounts", partial(file_mounts, config, source, folders)
    files = provider.get("files_to_upload")
    if isinstance(files, list | Mapping) and all(isinstance(file, str) for file in files):
        yield "provider", partial(files_to_upload, files, source, folders)
    node_types = config.get("available_node_types")
    for name, node_type in node_types.items() if isinstance(node_types, Mapping) else ():
        node_config = node_type.get("node_config") if isinstance(node_type, Mapping) else None
        if isinstance(node_config, Mapping):
            path = f"available_node_types.{name}.node_config"
            yield "available_node_types", partial(cfg.parse_node_config, node_config, source, path)
            for key in cfg.NODE_FILE_KEYS:
                yield "available_node_types", partial(_check_script, node_config, key, source, path, folders)


def _check_script(section: Mapping[str, Any], key: str, source: str, path: str, folders: list[Path]) -> None:
    check_scripts_of(inline_files(section, (key,), source, path, folders), (key,), source, path)


def _check_auth(config: Mapping[str, Any], source: str, folders: list[Path]) -> None:
    auth, key = absolute_auth(config, source, folders)
    check_public_key(auth, source, folders)
    check_key(key, source, folders, used_on_head=False)


def _messages(check: Callable[[], object], source: str) -> list[str]:
    try:
        check()
    except ConfigError as error:
        return [line.removeprefix(f"{source}: ") for line in str(error).splitlines()]
    return []


def prepared(config: Mapping[str, Any]) -> dict[str, Any]:
    """A YAML without mistakes, as Ray hands it to the provider."""
    from ray.autoscaler._private.util import prepare_config

    log = logging.getLogger("ray.autoscaler._private.util")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of keys that Ray itself has added
    try:
        return dict(prepare_config(dict(config)))
    finally:
        log.setLevel(level)


def _as_ray_would(root: yaml.Node, config: dict[str, Any], source: str, folders: list[Path]) -> Iterator[Finding]:
    """What only the whole configuration shows: keys that exclude each other, and warnings."""
    try:
        _, warnings = bootstrap(with_empty_resources(prepared(config)), source, folders)
    except ConfigError as error:
        yield from (_at(root, line.removeprefix(f"{source}: ")) for line in str(error).splitlines())
    else:
        for warning in warnings:
            place = _at(root, warning.removeprefix(f"{source}: "))
            yield Finding(place.line, place.column, place.text, is_warning=True)


def _at(root: yaml.Node, text: str) -> Finding:
    """A message at the key with which it begins, or at the nearest key around it that the file has."""
    node, rest, mark = root, text, root.start_mark
    while True:
        step = _step(node, rest)
        if step is None:
            return Finding(mark.line + 1, mark.column + 1, text)
        mark, node, rest = step


def _step(node: yaml.Node, text: str) -> tuple[Any, yaml.Node, str] | None:
    """The part of a node that a text names at its beginning: its mark, its value, and the rest of the text."""
    if isinstance(node, yaml.MappingNode):
        parts = [(str(key.value), key.start_mark, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = [(str(index), value.start_mark, value) for index, value in enumerate(node.value)]
    else:
        return None
    named = [part for part in parts if text.startswith(part[0]) and text[len(part[0]) :][:1] in (*_ENDS_OF_A_KEY, "")]
    if not named:
        return None
    name, mark, value = max(named, key=lambda part: len(part[0]))
    return mark, value, text[len(name) + 1 :]
