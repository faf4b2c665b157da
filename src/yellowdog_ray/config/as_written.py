"""Mistakes that the text of a YAML shows, and its values do not: duplicate keys, and numbers in YAML 1.1's other bases.

YAML readers take the last of two equal keys, and `1:30` for 90, without a message. Ray reads the file before it loads
RayDog, and passes on its values only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from yellowdog_ray.config.finding import Finding
from yellowdog_ray.config.mistakes import Place, dotted, shown
from yellowdog_ray.config.readable import UNREADABLE, read_text
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.printable import one_line

_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_BASE_8 = re.compile(r"[-+]?0[0-7_]+")
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def findings_in_text(root: yaml.Node) -> list[Finding]:
    """The duplicate keys and misread numbers of a YAML, in its order. A part that aliases repeat counts once."""
    visited: set[int] = set()
    left: list[tuple[yaml.Node, Place]] = [(root, ())]
    found: list[Finding] = []
    while left:
        node, place = left.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            found += _misread(node, place)
        elif isinstance(node, yaml.MappingNode):
            found += _duplicates(node)
            left += [(value, (*place, str(key.value))) for key, value in node.value]
        else:
            left += [(part, (*place, index)) for index, part in enumerate(node.value)]
    return sorted(found, key=lambda one: (one.line, one.column))


def _duplicates(node: yaml.MappingNode) -> Iterator[Finding]:
    seen: set[object] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
            continue
        if key.value in seen:
            text = f"the key {one_line(key.value)} occurs twice, and the last one counts: remove one"
            yield Finding.at(key.start_mark, text)
        seen.add(key.value)


def _misread(node: yaml.ScalarNode, place: Place) -> Iterator[Finding]:
    if node.style is not None or node.tag not in _NUMBERS:
        return
    base = 60 if _BASE_60.fullmatch(node.value) else 8 if _BASE_8.fullmatch(node.value) else None
    if base is None:
        return
    value = yaml.SafeLoader("").construct_object(node)
    remedy = "a number without a colon" if base == 60 else "the number without leading zeros"
    text = (
        f"{dotted(place)} is {node.value}, which YAML reads as {shown(value)}, in base {base}: write {remedy}, or put "
        "text in quotes"
    )
    yield Finding.at(node.start_mark, text)


def warnings_of_file(file: Path) -> list[str]:
    """One warning for each finding in the text of a YAML file, in their order; none if it cannot be read."""
    try:
        root = yaml.compose(read_text(file), yaml.SafeLoader)
    except (*UNREADABLE, RecursionError, ConfigError):
        return []
    found = findings_in_text(root) if root is not None else []
    return [f"{file}:{one.line}:{one.column}: {one.text}" for one in found]
