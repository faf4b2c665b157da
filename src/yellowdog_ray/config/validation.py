"""Every mistake of a YAML file at once, with line and column. Reads local files, and calls no platform."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from yellowdog_ray.config.as_written import findings_in_text
from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.checks import Check, checks, section_mistakes
from yellowdog_ray.config.finding import Finding
from yellowdog_ray.config.mistakes import Mistake, Place, dotted, shown
from yellowdog_ray.config.placing import begins_with, placed
from yellowdog_ray.config.ray_keys import MODULE, find_ray_mistakes, missing_keys
from yellowdog_ray.config.ray_schema import with_empty_resources, without, without_empty_legacy_keys
from yellowdog_ray.config.readable import (
    ENDLESS,
    TOO_MANY_VALUES,
    UNREADABLE,
    has_too_many_values,
    is_endless,
    read_text,
    unreadable_scalar,
    values_that_are_no_json,
)
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.printable import one_line


def validate(file: Path) -> list[Finding]:
    """Find every mistake of a cluster's YAML, in the order of the file; or else its warnings.

    Raises:
        ConfigError: the file cannot be read.
    """
    text = read_text(file)
    root = None
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        if root is not None and has_too_many_values(root):
            return [Finding(1, 1, TOO_MANY_VALUES)]
        in_text = findings_in_text(root) if root is not None else []
        config = yaml.SafeLoader("").construct_document(root) if root is not None else None
    except UNREADABLE as error:
        return [_syntax(error, root)]
    except RecursionError:
        return [Finding(1, 1, ENDLESS)]
    if is_endless(config):
        return [Finding(1, 1, ENDLESS)]
    if not isinstance(config, dict) or root is None:
        return [Finding(1, 1, "the file has no keys: start from examples/autoscaler/raydog.yaml")]
    folders = [file.resolve().parent, Path.cwd()]
    found = [*in_text, *(placed(root, text) for text in _mistakes(config, str(file), folders))]
    found = found or list(_as_ray_would(root, config, str(file), folders))
    return sorted(found, key=lambda finding: (finding.line, finding.column))


def _syntax(error: Exception, root: yaml.Node | None) -> Finding:
    scalar = unreadable_scalar(root) if root is not None else None
    if scalar is not None:
        kind = scalar.tag.rpartition(":")[2]
        text = f"{shown(scalar.value)} cannot be read as YAML's type {kind}: write it in quotes, without a tag"
        return Finding.at(scalar.start_mark, text)
    mark = getattr(error, "problem_mark", None)
    whole = str(error).replace(' in "<unicode string>",', " at")  # PyYAML's name of every text, on a line of its own
    problem = one_line(" ".join((getattr(error, "problem", None) or whole).split())).removeprefix("but ")
    text = f"this is no YAML: {problem}: {_syntax_remedy(problem)}"
    return Finding.at(mark, text) if mark else Finding(1, 1, text)


def _syntax_remedy(problem: str) -> str:
    if "'\\t'" in problem:
        return "indent with spaces instead of tabs"
    if "another document" in problem:
        return "keep one document, and remove the line `---` before the other"
    if "constructor" in problem:
        return "remove the tag"
    if "alias" in problem:
        return "define an anchor `&name` before its alias `*name`, or put the text in quotes"
    return "correct the indentation, colon or bracket here or on the line before, or put the text in quotes"


def _mistakes(config: dict[str, Any], source: str, folders: Sequence[Path]) -> list[str]:
    """The messages of every check. A wrong value is left out of the further checks, which would report it again."""
    missing = [*missing_keys(config), *_not_raydog(config)]
    of_ray = find_ray_mistakes(without_empty_legacy_keys(config))
    reported = [*missing, *(mistake for mistake in of_ray.wrong if not mistake.is_within(missing))]
    # Without a wrong `auth`, the one under `provider` would have to be complete.
    sections = {"auth": config.get("auth"), **of_ray.rest}
    own = _one_of_each_place(mistake for mistake in section_mistakes(sections) if not mistake.is_within(reported))
    reported += own
    rest = without(of_ray.rest, [mistake.place for mistake in own])
    no_json = [mistake for mistake in values_that_are_no_json(rest) if not mistake.is_within(reported)]
    rest = without(rest, [mistake.place for mistake in no_json])
    reported += no_json
    messages = [line for check in checks(rest, source, folders) for line in _messages(check, source)]
    places = [dotted(mistake.place) for mistake in reported]
    further = [text for text in messages if not any(begins_with(text, place) for place in places)]
    return list(dict.fromkeys([*map(str, [*reported, *of_ray.further]), *further]))


def _one_of_each_place(mistakes: Iterable[Mistake]) -> list[Mistake]:
    found: dict[Place, Mistake] = {}
    for mistake in mistakes:
        found.setdefault(mistake.place, mistake)
    return list(found.values())


def _messages(check: Check, source: str) -> list[str]:
    try:
        check()
    except ConfigError as error:
        return [line.removeprefix(f"{source}: ") for line in str(error).split("\n")]
    return []


def _not_raydog(config: Mapping[str, Any]) -> Iterator[Mistake]:
    """Values of `provider` with which Ray would load another provider, or none."""
    section = config.get("provider")
    if not isinstance(section, Mapping):
        return
    for key in section:
        if str(key).startswith("_"):
            yield Mistake(("provider", key), " is not a key of a cluster's YAML: RayDog or Ray sets it: remove it")
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
    """Findings that only the whole configuration shows: keys that exclude each other, and warnings."""
    try:
        _, warnings = bootstrap(with_empty_resources(prepared(config)), source, folders)
    except ConfigError as error:
        yield from (placed(root, line.removeprefix(f"{source}: ")) for line in str(error).split("\n"))
    else:
        for warning in warnings:
            yield replace(placed(root, warning.removeprefix(f"{source}: ")), is_warning=True)
