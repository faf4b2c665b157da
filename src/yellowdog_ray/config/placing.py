"""Where in a YAML file a message belongs: at the key with which it begins. No I/O, no state."""

from __future__ import annotations

from typing import Any

import yaml

from yellowdog_ray.config.finding import Finding
from yellowdog_ray.config.mistakes import dotted

_ENDS_OF_A_KEY = (".", ":", " ", ",", "")


def begins_with(text: str, place: str) -> bool:
    """Whether a message begins with this place, or with one below it."""
    return text.startswith(place) and text[len(place) : len(place) + 1] in _ENDS_OF_A_KEY


def placed(root: yaml.Node, text: str) -> Finding:
    """A message at the key with which it begins, or at the nearest key around it that the file has."""
    node, rest, mark = root, text, root.start_mark
    while step := _step(node, rest):
        mark, node, rest = step
    return Finding.at(mark, text)


def _step(node: yaml.Node, text: str) -> tuple[Any, yaml.Node, str] | None:
    """The part of a node that a text names at its beginning: its mark, its value, and the rest of the text."""
    if isinstance(node, yaml.MappingNode):
        parts = [(dotted((str(key.value),)), key.start_mark, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = [(str(index), value.start_mark, value) for index, value in enumerate(node.value)]
    else:
        return None
    named = [part for part in parts if begins_with(text, part[0])]
    if not named:
        return None
    # The last of equal keys counts, and a key of a mapping's own after one that it merges (`<<`).
    name, mark, value = max(reversed(named), key=lambda part: len(part[0]))
    return mark, value, text[len(name) + 1 :]
