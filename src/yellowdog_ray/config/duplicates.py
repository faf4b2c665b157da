"""Keys that a mapping of a YAML file has twice: YAML readers take the last one without a message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from yellowdog_ray.config.finding import Finding


def duplicate_keys(root: yaml.Node) -> Iterator[Finding]:
    """The duplicate keys of a YAML. A part that aliases repeat counts once."""
    visited: set[int] = set()
    left = [root]
    while left:
        node = left.pop()
        if id(node) in visited or isinstance(node, yaml.ScalarNode):
            continue
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from _duplicates(node)
            left += [value for _, value in node.value]
        else:
            left += node.value


def _duplicates(node: yaml.MappingNode) -> Iterator[Finding]:
    seen: set[object] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
            continue
        if key.value in seen:
            text = f"the key {key.value} occurs twice, and the last one counts: remove one"
            yield Finding(key.start_mark.line + 1, key.start_mark.column + 1, text)
        seen.add(key.value)


def warnings_of_file(file: Path) -> list[str]:
    """One warning for each duplicate key of a YAML file, in their order; none if it cannot be read.

    Ray reads the file before it loads RayDog, and passes on its values only.
    """
    try:
        root = yaml.compose(file.read_text(encoding="utf-8-sig"), yaml.SafeLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return []
    found = sorted(duplicate_keys(root), key=lambda one: (one.line, one.column)) if root is not None else []
    return [f"{file}:{one.line}:{one.column}: {one.text}" for one in found]
