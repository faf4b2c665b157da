"""Texts in cloud-init's format `#cloud-config`: mistakes, and keys of which cloud-init uses one value only. A leaf."""

from __future__ import annotations

import re
from collections import Counter

import yaml

MERGE = "list(append)+dict(recurse_list)+str()"
"""A value of `merge_how` with which cloud-init appends lists, and keeps other values of the first text."""

_MERGE_KEYS = ("merge_how", "merge_type")
_CONFIG = re.compile(r"#cloud-config(?:-archive)?(?![\w-])", re.IGNORECASE)
_ROOTS = {"#cloud-config": (yaml.MappingNode, "a mapping"), "#cloud-config-archive": (yaml.SequenceNode, "a list")}
_KEY = re.compile(r"[A-Za-z_][\w-]*:(?:\s|$)")


def cloud_config_mistake(text: str) -> str | None:
    """Why cloud-init ignores a text, with the remedy; None for another format too."""
    found = _CONFIG.match(text)
    if found is None:
        return None
    root, error = _composed(text)
    if error:
        return f"it is no YAML ({error}), and cloud-init ignores it: correct it"
    kind, name = _ROOTS[found[0].lower()]
    if root is None or isinstance(root, kind):
        return None
    return f"cloud-init ignores a `{found[0]}` that is not {name}: write one"


def is_without_first_line(text: str) -> bool:
    """Whether a text has the form of a `#cloud-config` and lacks that line. In bash `packages:` would be a command."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "---")))
    return _KEY.match(next(lines, "")) is not None and bool(keys_of(text))


def keys_of(text: str) -> list[str]:
    """The keys of a YAML text, as often as it has them; empty if it is no mapping."""
    root, _ = _composed(text)
    return [str(key.value) for key, _ in root.value] if isinstance(root, yaml.MappingNode) else []


def repeated_keys(text: str) -> list[str]:
    """The keys that a `#cloud-config` has twice."""
    found = _CONFIG.match(text)
    return [key for key, count in Counter(keys_of(text)).items() if count > 1] if found else []


def replaced_keys(first: str, second: str) -> list[str]:
    """The keys of one `#cloud-config` whose values a second one replaces, because it does not state how to merge.

    cloud-init merges the second text into the first by `dict(replace)` (its `handlers/cloud_config.py`), unless the
    second has `merge_how` or `merge_type`.
    """
    if not all(found and found[0].lower() == "#cloud-config" for found in map(_CONFIG.match, (first, second))):
        return []
    keys = keys_of(second)
    if any(key in keys for key in _MERGE_KEYS):
        return []
    return [key for key in dict.fromkeys(keys_of(first)) if key in keys]


def _composed(text: str) -> tuple[yaml.Node | None, str]:
    """The root of a YAML text, and what is wrong with it, in one line."""
    try:
        return yaml.compose(text, yaml.SafeLoader), ""
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        return None, f"{line}{error.problem}"
    except (yaml.YAMLError, RecursionError):
        return None, "characters or a depth that cannot be read"
