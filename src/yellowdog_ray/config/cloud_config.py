"""Texts in cloud-init's format `#cloud-config`: mistakes, and keys of which cloud-init uses one value only.

Imports only `readable` and `mistakes` of RayDog.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

import yaml

from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.config.readable import UNREADABLE, unreadable_scalar

MERGE = "list(append)+dict(recurse_list)+str()"
"""A value of `merge_how` with which cloud-init appends lists, and keeps other values of the first text."""

_MERGE_KEYS = ("merge_how", "merge_type")
_CONFIG = re.compile(r"#cloud-config(?:-archive)?(?![\w-])", re.IGNORECASE)
_ROOTS = {"#cloud-config": (yaml.MappingNode, "a mapping"), "#cloud-config-archive": (yaml.SequenceNode, "a list")}
_KEY = re.compile(r"[A-Za-z_][\w-]*:(?:\s|$)")


class _CloudInitLoader(yaml.SafeLoader):
    """Loads as cloud-init does: YAML's own types, and texts with a tag of Python 2 (its `safeyaml.py`)."""


def _old_text(loader: _CloudInitLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_CloudInitLoader.add_constructor("tag:yaml.org,2002:python/unicode", _old_text)


def cloud_config_mistake(text: str) -> str | None:
    """Why cloud-init ignores a text, with the remedy; None for another format too."""
    found = _CONFIG.match(text)
    if found is None:
        return None
    read = _read(text)
    if read.mistake and read.root is None:
        return f"it is no YAML ({read.mistake}), and cloud-init ignores it: correct it"
    if read.mistake:
        return f"cloud-init cannot load it ({read.mistake}), and ignores it: correct it"
    kind, name = _ROOTS[found[0].lower()]
    if read.root in (None, kind):
        return None
    return f"cloud-init ignores a `{found[0]}` that is not {name}: write one"


def is_without_first_line(text: str) -> bool:
    """Whether a text has the form of a `#cloud-config` and lacks that line. In bash `packages:` would be a command."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "---")))
    return _KEY.match(next(lines, "")) is not None and bool(keys_of(text))


def keys_of(text: str) -> list[str]:
    """The keys of a YAML text, as often as it has them; empty if it is no mapping."""
    return list(_read(text).keys)


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


@dataclass(frozen=True)
class _Read:
    """A YAML text as cloud-init reads it.

    Attributes:
        root: the type of its root; None for an empty text.
        keys: the keys of a mapping, as often as it has them, without those that it merges.
        mistake: why cloud-init cannot read it, in one line; empty if it can.
    """

    root: type[yaml.Node] | None = None
    keys: tuple[str, ...] = ()
    mistake: str = ""


@lru_cache(maxsize=4)
def _read(text: str) -> _Read:
    found, root = _Read(), None
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        if root is None:
            return found
        is_mapping = isinstance(root, yaml.MappingNode)
        found = _Read(type(root), tuple(str(key.value) for key, _ in root.value) if is_mapping else ())
        _CloudInitLoader("").construct_document(root)
    except (*UNREADABLE, RecursionError) as error:
        return replace(found, mistake=_reason(error, root, text))
    return found


def _reason(error: Exception, root: yaml.Node | None, text: str) -> str:
    """The mistake of a text, after its line."""
    if isinstance(error, yaml.MarkedYAMLError):
        reason, mark = str(error.problem), error.problem_mark
        if "unhashable" in reason and "{{" in text:
            reason = f"{reason}: put `{{{{` in quotes, or begin a template with the line `## template: jinja`"
    elif root is not None and (scalar := unreadable_scalar(root)):
        kind, mark = scalar.tag.rpartition(":")[2], scalar.start_mark
        reason = f"{shown(scalar.value)} does not fit YAML's type {kind}"
    else:
        return "characters or a depth that cannot be read"
    return f"line {mark.line + 1}: {reason}" if mark else reason
