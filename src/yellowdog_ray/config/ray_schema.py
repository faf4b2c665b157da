"""Mistakes that Ray's own schema finds, in RayDog's words: Ray itself ends with a traceback and the whole schema.

No I/O except reading the schema of the installed Ray.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

from yellowdog_ray.config.installed_schema import rays_schema
from yellowdog_ray.config.levels import remedy_for
from yellowdog_ray.config.mistakes import TEXT, Mistake, Place, dotted, shown

_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": TEXT,
    "array": "a list",
    "object": "a mapping of keys to values",
}
_REMEDIES = {
    "file_mounts": "give a mapping of remote path to local path",
    "auth": "give a mapping with `ssh_user` and `ssh_private_key`",
    "docker": "remove the section, and start the containers in the task scripts (docs/containers.md)",
    "available_node_types": "give a mapping of each node type's name to its settings",
    "node_config": "give a mapping with `compute_requirement_template` or `worker_pool`",
    "resources": "give a mapping such as `{CPU: 4}`",
    "labels": "give a mapping of text to text",
}
LEGACY = ("head_node", "worker_nodes")
"""Keys of Ray 1, which Ray removes where they are empty, as in many old files."""

_TIMEOUT = "idle_timeout_minutes"
_DIGITS = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_MERGED = ("head_setup_commands", "worker_setup_commands")


def keys_that_are_no_text(config: Mapping[str, Any]) -> list[Mistake]:
    """The keys to which Ray's schema cannot be applied; each mistake is at the mapping that has the key."""
    return list(_keys_that_are_no_text(config, ()))


def without_empty_legacy_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """The YAML as the user has written it without the keys that Ray removes, because they are old and empty."""
    return {key: value for key, value in config.items() if key not in LEGACY or value not in (None, {}, [])}


def without_empty_timeout(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without an `idle_timeout_minutes` that has no value: the default applies."""
    is_empty = config.get(_TIMEOUT, 0) is None
    return {key: value for key, value in config.items() if key != _TIMEOUT or not is_empty}


def take_wrong_values(config: Mapping[str, Any]) -> tuple[list[Mistake], dict[str, Any]]:
    """The mistakes that Ray's schema finds, and the configuration without the wrong values, for further checks.

    Keys that are no text are left out first.
    """
    rest = _with_text_keys(config)
    mistakes: list[Mistake] = []
    wrong: list[Place] = []
    for error in _validator().iter_errors(with_empty_resources(rest)):
        found = list(_mistakes(error))
        wrong += [mistake.place for mistake in found]
        if not _is_copy(rest, error):
            mistakes += found
    return mistakes, without(rest, wrong)


def without(config: Mapping[str, Any], places: Collection[Place]) -> dict[str, Any]:
    """The configuration without the values at these places. A node type stays, empty; a list keeps its length."""
    node_types = [place for place in places if len(place) == 2 and place[0] == "available_node_types"]
    rest: dict[str, Any] = _without(config, [place for place in places if place not in node_types])
    if node_types and isinstance(rest.get("available_node_types"), Mapping):
        rest["available_node_types"] |= {name: {} for _, name in node_types if name in rest["available_node_types"]}
    return rest


def _without(value: Any, places: Collection[Place]) -> Any:
    if not places:
        return value
    below: dict[str | int, list[Place]] = {}
    for key, *rest in places:
        below.setdefault(key, []).append(tuple(rest))
    if isinstance(value, Mapping):
        return {key: _without(part, below.get(key, ())) for key, part in value.items() if () not in below.get(key, ())}
    if isinstance(value, list):
        kept = enumerate(value)
        return ["" if () in below.get(index, ()) else _without(part, below.get(index, ())) for index, part in kept]
    return value


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_text_keys(part) for part in value]
    if isinstance(value, Mapping):
        return {key: _with_text_keys(part) for key, part in value.items() if isinstance(key, str)}
    return value


def with_empty_resources(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with `resources` in every node type, which Ray's schema requires; its mistakes stay."""
    node_types = config.get("available_node_types")
    if not isinstance(node_types, Mapping):
        return dict(config)
    filled = {
        name: {**kind, "resources": {}} if isinstance(kind, Mapping) and kind.get("resources") is None else kind
        for name, kind in node_types.items()
    }
    return {**config, "available_node_types": filled}


def _keys_that_are_no_text(value: object, place: Place) -> Iterator[Mistake]:
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from _keys_that_are_no_text(part, (*place, index))
    if not isinstance(value, Mapping):
        return
    for key, part in value.items():
        if isinstance(key, str):
            yield from _keys_that_are_no_text(part, (*place, key))
        elif place == ("available_node_types",):
            yield Mistake(place, f" has a node type named {key!r}: give it a name, such as `worker`")
        elif place:
            yield Mistake(place, f" has the key {key!r}: put keys of {dotted(place)} that are no words in quotes")
        else:
            yield Mistake((str(key),), " is a key that is no word: remove it, or put it in quotes")


@cache
def _validator() -> Any:
    import jsonschema

    return jsonschema.Draft7Validator(rays_schema())


def _is_copy(config: Mapping[str, Any], error: Any) -> bool:
    """Whether Ray has copied a wrong value to this place from another: the mistake is reported there."""
    place: Place = tuple(error.absolute_path)
    if len(place) == 2 and place[0] in _MERGED:
        return int(place[1]) < len(config.get("setup_commands") or ())
    if len(place) == 3 and place[0] == "available_node_types" and place[2] == "max_workers":
        return error.instance is config.get("max_workers")
    return False


def _mistakes(error: Any) -> Iterator[Mistake]:
    """The mistakes that one error of the schema reports."""
    place: Place = tuple(error.absolute_path)
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        yield _missing(place, missing)
    elif error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        for key in error.instance:
            if key not in known:
                yield Mistake((*place, key), f" is not a key of Ray {_version()}: {_hint(key, known)}")
    else:
        is_number = error.schema.get("type") in ("integer", "number")
        is_quoted = is_number and isinstance(error.instance, str) and _DIGITS.fullmatch(error.instance)
        remedy = f"{_remedy(place, error.schema)}{', without quotes' if is_quoted else ''}"
        yield Mistake(place, f" is {shown(error.instance)}: {remedy}")


def _missing(place: Place, key: str) -> Mistake:
    if key == "ssh_proxy_command":
        return Mistake(
            (*place, "ssh_proxy_use_node_id"),
            " needs auth.ssh_proxy_command: give a command that connects to a node by its id, or remove "
            "ssh_proxy_use_node_id",
        )
    return Mistake((*place, key), f" is missing: {_REMEDIES.get(key, 'add the key')}")


def _version() -> str:
    import ray

    return str(ray.__version__)


def _hint(key: str, known: list[str]) -> str:
    if key in LEGACY:
        return "use available_node_types and head_node_type"
    return remedy_for(key, known)


def _remedy(place: Place, schema: Mapping[str, Any]) -> str:
    key = str(place[-1]) if place else ""
    kind = schema.get("type")
    if key in _REMEDIES and kind == "object":
        return _REMEDIES[key]
    if kind == "boolean":
        return "write true or false"
    if "commands" in key and kind == "array":
        return 'give a list of commands, such as `["echo done"]`'
    wanted = _TYPES.get(str(kind), "another value")
    minimum = f" of {schema['minimum']} or above" if "minimum" in schema else ""
    return f"give {wanted}{minimum}"
