"""Checks of Ray's own keys: values at which Ray fails, and values that would stop the cluster later. No I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from yellowdog_ray.config.characters import is_split_by_ray
from yellowdog_ray.config.limits import (
    MAX_NUMBER,
    MAX_POOL_NODES,
    MAX_RESOURCE,
    MAX_TASK_GROUPS,
    MIN_OBJECT_STORE_BYTES,
)
from yellowdog_ray.config.mistakes import Mistake, Place, shown
from yellowdog_ray.config.paths import is_one_line
from yellowdog_ray.config.ray_schema import keys_that_are_no_text, take_wrong_values, without, without_empty_timeout
from yellowdog_ray.printable import one_line

MODULE = "yellowdog_ray.raydog.autoscaler.RayDogNodeProvider"
"""`provider.module` of a cluster of RayDog, as the published package's users have it."""

CONTAINER_KEYS = ("image", "head_image", "worker_image", "container_name")
COUNTS = ("min_workers", "max_workers", "idle_timeout_s")
_WHOLE = ("min_workers", "max_workers")
LISTS_OF_TEXT = ("cluster_synced_files", "rsync_exclude", "rsync_filter")
_FLAGS = (
    "disable_launch_config_check",
    "foreground_node_launch",
    "use_external_head_ip",
    "use_node_id_as_ip",
    "worker_liveness_check",
    "worker_rpc_drain",
)
"""Ray's true-or-false keys under `provider` that its schema does not check."""

_RAYS_TYPES = {"ray.head.default", "ray.worker.default"}
"""Ray's placeholders where the YAML has no `available_node_types` (MINIMAL_EXTERNAL_CONFIG in providers.py)."""

LABEL_PATTERN = r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_LABEL = re.compile(LABEL_PATTERN)
_LONGEST_PREFIX = 253
"""Ray's rules of labels (`_private/label_utils.py` of Ray 2.60), which are those of Kubernetes."""

NODE_ID_LABEL = "ray.io/node-id"
"""The label that the raylet sets. A raylet that is given one aborts (`labels.contains(key)` in raylet/main.cc)."""

_PAIRS = ": Ray's autoscaler cannot read characters above U+FFFF, such as emoji, in a name: use others"

REQUIRED = {
    "cluster_name": "name the cluster",
    "provider": "add the section (docs/configuration.md)",
    "max_workers": "give the maximum number of workers",
    "setup_commands": "write `setup_commands: []`",
    "head_setup_commands": "write `head_setup_commands: []`",
    "worker_setup_commands": "write `worker_setup_commands: []`",
}
"""Keys without which Ray fails before it loads RayDog, with what to write."""


def ray_mistakes(config: Mapping[str, Any]) -> list[Mistake]:
    """The mistakes in Ray's keys of a YAML as Ray has prepared it. Those that Ray's schema finds come first."""
    found = find_ray_mistakes(config)
    return [*found.wrong, *found.further]


@dataclass(frozen=True)
class RayMistakes:
    """The mistakes in Ray's keys of a YAML.

    Attributes:
        wrong: those that Ray's schema finds.
        further: the others.
        rest: the configuration without the values that Ray's schema refuses, for further checks.
    """

    wrong: list[Mistake]
    further: list[Mistake]
    rest: dict[str, Any]


def find_ray_mistakes(config: Mapping[str, Any]) -> RayMistakes:
    """The mistakes in Ray's keys of a YAML, prepared by Ray or as the user has written it."""
    config = without_empty_timeout(config)
    keys = keys_that_are_no_text(config)
    wrong, rest = take_wrong_values(config)
    places = {mistake.place for mistake in keys}
    beyond = list(_beyond_the_schema(rest))
    groups = _task_groups(without(rest, [mistake.place for mistake in beyond]))
    further = [
        mistake for mistake in (*beyond, *groups) if mistake.place not in places and not mistake.is_within(wrong)
    ]
    return RayMistakes(wrong, [*keys, *further], rest)


def missing_keys(config: Mapping[str, Any]) -> list[Mistake]:
    """The keys without which Ray fails before it loads RayDog, in the YAML as the user has written it."""
    missing = [Mistake((key,), f" is missing: {remedy}") for key, remedy in REQUIRED.items() if key not in config]
    provider = config.get("provider")
    if isinstance(provider, Mapping):
        stated = {"type": "external", "module": MODULE}
        missing += [
            Mistake(("provider", key), f" is missing: write `{key}: {value}`")
            for key, value in stated.items()
            if key not in provider
        ]
    return missing


def _node_types(config: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return config.get("available_node_types") or {}


def _beyond_the_schema(config: Mapping[str, Any]) -> Iterator[Mistake]:
    yield from _names(config)
    yield from _docker(config)
    yield from _counts(config)
    yield from _lists_and_flags(config)
    yield from _numbers(config, ())
    for name, node_type in _node_types(config).items():
        yield from _resources(("available_node_types", name, "resources"), node_type.get("resources") or {})
        yield from _labels(("available_node_types", name, "labels"), node_type.get("labels") or {})


def _names(config: Mapping[str, Any]) -> Iterator[Mistake]:
    node_types, head = _node_types(config), config.get("head_node_type")
    for name in node_types:
        if not name.strip() or not is_one_line(name):
            yield Mistake(
                ("available_node_types",), f" has a node type named {name!r}: give it a name, such as `worker`"
            )
        elif is_split_by_ray(name):
            yield Mistake(("available_node_types",), f" has a node type named {name!r}{_PAIRS}")
    has_none = set(node_types) == _RAYS_TYPES and "node_config" not in node_types["ray.head.default"]
    if has_none or not node_types:
        yield Mistake(("available_node_types",), " is missing: add the head's node type, and those of the workers")
    elif head not in node_types:
        names = ", ".join(map(one_line, node_types))
        is_missing = head in (None, *_RAYS_TYPES)
        text = (
            f" is missing: name one of {names}"
            if is_missing
            else f" {shown(head)} is not one of available_node_types ({names})"
        )
        yield Mistake(("head_node_type",), text)


def _docker(config: Mapping[str, Any]) -> Iterator[Mistake]:
    sections: dict[Place, Any] = {("docker",): config.get("docker")}
    for name, node_type in _node_types(config).items():
        sections[("available_node_types", name, "docker")] = node_type.get("docker")
    for place, section in sections.items():
        if isinstance(section, Mapping) and any(section.get(key) for key in CONTAINER_KEYS):
            yield Mistake(
                place,
                ": RayDog starts Ray in the nodes' tasks, not in Ray's containers: remove the section, and start the "
                "containers in the task scripts (docs/containers.md)",
            )


def _counts(config: Mapping[str, Any]) -> Iterator[Mistake]:
    for name, node_type in _node_types(config).items():
        place: Place = ("available_node_types", name)
        for key in COUNTS:
            if (node_type.get(key) or 0) < 0:
                yield Mistake((*place, key), f" is {shown(node_type[key])}: give a number of 0 or above")
        for key in _WHOLE:
            if isinstance(node_type.get(key), float):
                yield Mistake((*place, key), f" is {node_type[key]}: give a whole number without a point")
        minimum, maximum = node_type.get("min_workers") or 0, node_type.get("max_workers")
        if name != config.get("head_node_type") and maximum is not None and minimum > max(maximum, 0):
            yield Mistake(
                (*place, "min_workers"),
                f" is {shown(minimum)}, above max_workers ({shown(maximum)}): lower one or raise the other",
            )
    total, limit = sum(kind.get("min_workers") or 0 for kind in _node_types(config).values()), config.get("max_workers")
    if limit is not None and total > limit:
        yield Mistake(
            ("max_workers",),
            f": min_workers of all node types are {shown(total)} in sum, above max_workers ({shown(limit)}): lower "
            "them or raise it",
        )


def _lists_and_flags(config: Mapping[str, Any]) -> Iterator[Mistake]:
    for key in LISTS_OF_TEXT:
        for index, part in enumerate(config.get(key) or ()):
            if not isinstance(part, str):
                yield Mistake((key, index), f" is {shown(part)}: give text")
    for key in _FLAGS:
        value = (config.get("provider") or {}).get(key, False)
        if not isinstance(value, bool):
            yield Mistake(("provider", key), f" is {shown(value)}: write true or false")


def _numbers(value: object, place: Place) -> Iterator[Mistake]:
    """Numbers that no JSON can hold, or that are too large for Ray's arithmetic."""
    if isinstance(value, float) and not math.isfinite(value):
        yield Mistake(place, f" is {shown(value)}: give a finite number")
    elif isinstance(value, int | float) and value > MAX_NUMBER:
        yield Mistake(place, f" is {shown(value)}: give a number of at most {MAX_NUMBER:,}")
    elif _is_text_on_the_head(value):
        yield Mistake(
            place, f" is {value}: Ray's autoscaler cannot read such a number on the head: give 0, or at least 0.0001"
        )
    elif isinstance(value, Mapping):
        for key, part in value.items():
            # `models` checks `provider`, with the remedy of each key; `_resources` has limits of its own.
            if (place or key != "provider") and key not in ("resources", "metadata"):
                yield from _numbers(part, (*place, key))


def _is_text_on_the_head(value: object) -> bool:
    """Whether JSON, which `ray up` writes, has a number without a point, such as 1e-05: in YAML that is text."""
    return isinstance(value, float) and "e" in repr(value) and "." not in repr(value)


def _resources(place: Place, resources: Mapping[str, Any]) -> Iterator[Mistake]:
    for name, amount in resources.items():
        if is_split_by_ray(name):
            yield Mistake(place, f" has a resource named {name!r}{_PAIRS}")
        elif amount > MAX_RESOURCE:
            yield Mistake((*place, name), f" is {shown(amount)}: Ray allows at most {MAX_RESOURCE:,}")
        elif name == "object_store_memory" and 0 < amount < MIN_OBJECT_STORE_BYTES:
            yield Mistake(
                (*place, name),
                f" is {amount} bytes: give at least {MIN_OBJECT_STORE_BYTES:,} bytes, Ray's minimum, or remove the key",
            )


def _labels(place: Place, labels: Mapping[str, str]) -> Iterator[Mistake]:
    """Labels with which a node cannot start, or that Ray refuses in selectors, so that no work could select it."""
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        if key == NODE_ID_LABEL:
            text = ": Ray sets this label itself, and does not start on a node that states it: remove the label"
            yield Mistake((*place, key), text)
        elif not _LABEL.fullmatch(name) or (slash and not _is_label_prefix(prefix)):
            yield Mistake(
                place,
                f" has the key {shown(key)}: give 1 to 63 letters, digits, '-', '_' and '.' that begin and end with a "
                "letter or digit. A domain and '/' may precede them",
            )
        elif value and not _LABEL.fullmatch(value):
            yield Mistake(
                (*place, key),
                f" is {shown(value)}: give at most 63 letters, digits, '-', '_' and '.' that begin and end with a "
                "letter or digit",
            )


def _is_label_prefix(prefix: str) -> bool:
    return len(prefix) <= _LONGEST_PREFIX and all(part == "" or _LABEL.fullmatch(part) for part in prefix.split("."))


def _task_groups(config: Mapping[str, Any]) -> Iterator[Mistake]:
    """More task groups than YellowDog allows: one for the head, and one per 10,000 nodes of a node type."""
    cluster_limit = config.get("max_workers") or 0
    limits = [node_type.get("max_workers") or cluster_limit for node_type in _node_types(config).values()]
    groups = 1 + sum(max(1, -(-limit // MAX_POOL_NODES)) for limit in limits)
    if groups > MAX_TASK_GROUPS:
        yield Mistake(
            ("available_node_types",),
            f" and their max_workers need {shown(groups)} task groups, and YellowDog allows "
            f"{MAX_TASK_GROUPS} in a work requirement: use fewer node types, or lower max_workers",
        )
