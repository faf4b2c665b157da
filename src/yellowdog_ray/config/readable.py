"""What of a YAML neither Python nor JSON can hold, before anything else is checked. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import yaml

from yellowdog_ray.config.mistakes import Mistake, Place

UNREADABLE = (yaml.YAMLError, ValueError, AttributeError, KeyError, TypeError)
"""What PyYAML raises for a text that is no YAML, and for a value that does not fit its tag."""

ENDLESS = "the file contains itself by an alias, or is nested too deeply: write every value out"

_PLAIN = (str, int, float, type(None))


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
