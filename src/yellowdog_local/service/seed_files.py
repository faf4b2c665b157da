"""Reads a seed file: what a local platform has from its start, and again after each reset.

The file is a list of resources in the format of YellowDog's own command `yd resource create`, as JSON or YAML. Unlike a
request to the API, it may contain no unknown key.
"""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yellowdog_client.model import (
    AddConfiguredWorkerPoolRequest,
    ComputeRequirementTemplate,
    ComputeSourceTemplate,
    MachineImageFamily,
)

from yellowdog_local.api.encoding import load
from yellowdog_local.api.json_input import parse_json
from yellowdog_local.api.strict import unknown_keys
from yellowdog_local.errors import ApiError
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state import ids

_UNREADABLE = (OSError, yaml.YAMLError, ValueError, AttributeError, KeyError, TypeError, RecursionError)
"""Errors of the reading. PyYAML raises the last ones for a value that does not fit its tag, and for deep nesting."""

_NO_TEXT = re.compile(r" must be a string, not ([-+.\w]+|datetime\..*)$")
_YAML_ENDINGS = (".yaml", ".yml")
Resource = dict[str, Any]

MAX_FILE_BYTES = 1_000_000
"""Maximum bytes of a seed file. PyYAML takes 7 s for as many."""

MAX_VALUES = 100_000
"""Maximum values of a seed file with every alias of YAML written out: ten in a row may stand for billions."""


class SeedError(ValueError):
    """The user gave a seed file that cannot be read, or has a resource that the platform refuses."""

    def __init__(self, text: str) -> None:
        super().__init__("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text))


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, except that a mapping has each key once; PyYAML takes the last of equal keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.value != "<<":
                text = f"the key '{key.value}' occurs twice"
                raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class NamespaceResource:
    """A namespace, as `yd resource create` names it."""

    name: str


_KINDS: Mapping[str, tuple[type[Any], Callable[[LocalPlatform, Any], object]]] = {
    "Namespace": (NamespaceResource, lambda platform, entity: platform.namespaces.use(entity.name)),
    "ComputeSourceTemplate": (
        ComputeSourceTemplate,
        lambda platform, entity: platform.templates.add_source(entity),
    ),
    "ComputeRequirementTemplate": (
        ComputeRequirementTemplate,
        lambda platform, entity: platform.templates.add_requirement(entity),
    ),
    "MachineImageFamily": (MachineImageFamily, lambda platform, entity: platform.images.add_family(entity)),
    "ConfiguredWorkerPool": (
        AddConfiguredWorkerPoolRequest,
        lambda platform, entity: platform.configured.add(entity),
    ),
}


@dataclass(frozen=True)
class SeedFile:
    """A seed file that was read.

    Attributes:
        source: the file, for messages.
        resources: its resources.
    """

    source: str
    resources: tuple[Resource, ...]

    def plant(self, platform: LocalPlatform) -> None:
        """Create the resources, those first that others refer to. Called under the platform's lock.

        Raises:
            SeedError: the platform refuses one.
        """
        kinds = list(_KINDS)
        for number, resource in sorted(enumerate(self.resources), key=lambda item: kinds.index(item[1]["resource"])):
            model, add = _KINDS[resource["resource"]]
            try:
                add(platform, load(_for_platform(resource), model))
            except ApiError as error:
                raise SeedError(f"{self.source}: {_place(number, resource)}: {error.message}") from error


def read_seed(path: Path) -> SeedFile:
    """Read a seed file, and check everything that needs no platform.

    Raises:
        SeedError: the file cannot be read, or has an unknown kind of resource, an unknown key or a wrong value.
    """
    try:
        content = _content(path)
    except ApiError as error:
        raise SeedError(f"{path}: not a readable file of JSON or YAML: {error.message}") from error
    except _UNREADABLE as error:
        raise SeedError(f"{path}: not a readable file of JSON or YAML: {_reason(error)}") from error
    if not isinstance(content, list):
        raise SeedError(f"{path}: must be a list of resources, as `yd resource create` takes it")
    for problem in (text for number, resource in enumerate(content) for text in _problems(number, resource)):
        raise SeedError(f"{path}: {problem}")
    return SeedFile(str(path), tuple(content))


def _reason(error: Exception) -> str:
    """The error in one line, with its line and column if PyYAML reports them."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).replace(' in "<unicode string>",', " at").split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem.removeprefix('but ')}"


def _content(path: Path) -> Any:
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise ValueError("it is no regular file")
    if state.st_size > MAX_FILE_BYTES:
        raise ValueError(f"it has {state.st_size:,} bytes, more than {MAX_FILE_BYTES:,}")
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() not in _YAML_ENDINGS:
        return parse_json(text, "the text", unique_keys=True)
    content = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    _check_values(content)
    return content


def _check_values(content: object) -> None:
    """Refuse keys that are no text, and more values than a file can need. Ends for values that contain themselves."""
    left = [content]
    for _ in range(MAX_VALUES):
        if not left:
            return
        value = left.pop()
        if isinstance(value, dict):
            wrong = [key for key in value if not isinstance(key, str)]
            if wrong:
                raise ValueError(f"the key {wrong[0]!r} is no text: put it in quotes, or remove it")
            left += value.values()
        elif isinstance(value, list):
            left += value
    raise ValueError(f"it has more than {MAX_VALUES:,} values with its aliases written out")


def _problems(number: int, resource: object) -> Iterator[str]:
    if not isinstance(resource, dict) or "resource" not in resource:
        yield f"[{number}]: must be an object with the key 'resource', one of {', '.join(_KINDS)}"
        return
    kind = resource["resource"]
    if not isinstance(kind, str):
        yield f"[{number}]: the key 'resource' must be one of {', '.join(_KINDS)}"
        return
    place = _place(number, resource)
    if kind not in _KINDS:
        yield f"{place}: {_unknown('kind of resource', kind, list(_KINDS))}"
        return
    model, _ = _KINDS[kind]
    try:
        load(_for_platform(resource), model)
    except ApiError as error:
        is_scalar = _NO_TEXT.search(error.message) is not None
        yield f"{place}: {error.message}{': put it in quotes' * is_scalar}"
        return
    for key, known in unknown_keys(_for_platform(resource), model):
        yield f"{place}: {_unknown('key', key, known)}"


def _unknown(what: str, name: str, known: list[str]) -> str:
    parent, _, last = name.rpartition(".")
    (nearest,) = difflib.get_close_matches(last, known, n=1, cutoff=0.0)
    return f"unknown {what} '{name}': did you mean '{f'{parent}.{nearest}'.lstrip('.')}'?"


def _place(number: int, resource: Resource) -> str:
    return f"[{number}] {resource['resource']}"


def _for_platform(resource: Resource) -> Resource:
    """A resource as the API takes it: without its kind, and with full references to source templates."""
    entity = {key: value for key, value in resource.items() if key != "resource"}
    sources = entity.get("sources")
    if resource["resource"] == "ComputeRequirementTemplate" and isinstance(sources, list):
        entity["sources"] = [_with_full_reference(source, entity.get("namespace")) for source in sources]
    return entity


def _with_full_reference(source: Any, namespace: object) -> Any:
    """`yd resource create` takes the name of a source template without its namespace."""
    reference = source.get("sourceTemplateId") if isinstance(source, dict) else None
    if not isinstance(reference, str) or not isinstance(namespace, str):
        return source
    if "/" in reference or ids.is_ydid(reference):
        return source
    return {**source, "sourceTemplateId": f"{namespace}/{reference}"}
