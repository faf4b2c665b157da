"""Validates JSON against the SDK's models, which convert wrong types silently. Checks types and ranges, not meanings.

Fields that the platform sets itself (ids, statuses, times) are not checked: clients send back what they received.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from yellowdog_client.common.iso_datetime import iso_parse, iso_timedelta_parse

from yellowdog_local.errors import InvalidRequest

# Java's `long`; larger numbers would overflow in floats and dates.
_MAX_INTEGER = 2**63 - 1
# A century: the sum of any such duration and the time of day is still a date.
_MAX_DURATION = timedelta(days=36_525)


def check(value: Any, hint: Any, path: str = "") -> None:
    """Refuse a JSON value that does not have the given type.

    Args:
        value: the decoded JSON.
        hint: the type, a model's class or a hint of one of its fields.
        path: the place of the value in the body, for the message.

    Raises:
        InvalidRequest: it has another type, or is out of range; the message names the field.
    """
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if value is not None:
            check(value, _without_none(hint), path)
    elif hint is Any or isinstance(hint, typing.TypeVar):
        return
    elif value is None:
        raise _wrong(path, "must be set")
    elif origin in (list, set):
        _check_items(value, get_args(hint)[0], path)
    elif origin is dict:
        _check_map(value, get_args(hint), path)
    else:
        _check_plain(value, hint, path)


def unknown_keys(value: Any, hint: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """The keys that a model does not have, each with its place and the keys that are known there.

    Args:
        value: decoded JSON that `check` accepts.
        hint: the type, as for `check`.
        path: the place of the value, for the result.
    """
    origin = get_origin(hint)
    if value is None or hint is Any or isinstance(hint, typing.TypeVar):
        return
    if origin in (Union, UnionType):
        yield from unknown_keys(value, _without_none(hint), path)
    elif origin in (list, set):
        for number, item in enumerate(value):
            yield from unknown_keys(item, get_args(hint)[0], f"{path}[{number}]")
    elif origin is dict:
        for key, item in value.items():
            yield from unknown_keys(item, get_args(hint)[1], f"{path}.{key}")
    elif (origin or hint) not in _SCALARS and not issubclass(origin or hint, Enum):
        yield from _unknown_keys_of_object(value, hint, origin or hint, path)


def _unknown_keys_of_object(value: Any, hint: Any, kind: type, path: str) -> Iterator[tuple[str, list[str]]]:
    concrete = _concrete(kind, value, path)
    variables = dict(zip(getattr(concrete, "__parameters__", ()), get_args(hint)))  # noqa: B905
    hints = {field.name: field_hint for field, field_hint in _fields(concrete)}
    known = {field.name for field in dataclasses.fields(concrete)} | {"type"}
    for key, item in value.items():
        inner = f"{path}.{key}" if path else key
        if key not in known:
            yield inner, sorted(hints)
        elif key in hints:
            yield from unknown_keys(item, _bound(hints[key], variables), inner)


def _wrong(path: str, how: str) -> InvalidRequest:
    return InvalidRequest(f"{path or 'the request body'} {how}")


def _without_none(hint: Any) -> Any:
    return next(part for part in get_args(hint) if part is not type(None))


def _check_items(value: Any, hint: Any, path: str) -> None:
    if not isinstance(value, list):
        raise _wrong(path, "must be a list")
    for number, item in enumerate(value):
        check(item, hint, f"{path}[{number}]")


def _check_map(value: Any, hints: tuple[Any, ...], path: str) -> None:
    if not isinstance(value, dict):
        raise _wrong(path, "must be an object")
    for key, item in value.items():
        check(key, hints[0], f"{path} key")
        check(item, hints[1], f"{path}.{key}")


def _check_plain(value: Any, hint: Any, path: str) -> None:
    kind = get_origin(hint) or hint
    if kind in _SCALARS:
        how, accepts = _SCALARS[kind]
        if not accepts(value):
            raise _wrong(path, f"must be {how}, not {value!r}")
    elif issubclass(kind, Enum):
        if value not in kind.__members__:
            raise _wrong(path, f"must be one of {', '.join(kind.__members__)}, not {value!r}")
    else:
        _check_object(value, hint, kind, path)


def _check_object(value: Any, hint: Any, kind: type, path: str) -> None:
    if not isinstance(value, dict):
        raise _wrong(path, "must be an object")
    concrete = _concrete(kind, value, path)
    variables = dict(zip(getattr(concrete, "__parameters__", ()), get_args(hint)))  # noqa: B905
    for field, field_hint in _fields(concrete):
        inner = f"{path}.{field.name}" if path else field.name
        if value.get(field.name) is not None:
            check(value[field.name], _bound(field_hint, variables), inner)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _wrong(inner, "must be set")


def _bound(hint: Any, variables: dict[Any, Any]) -> Any:
    if not variables or not getattr(hint, "__parameters__", ()):
        return variables.get(hint, hint) if isinstance(hint, typing.TypeVar) else hint
    return hint[tuple(variables[parameter] for parameter in hint.__parameters__)]


@cache
def _fields(kind: type) -> tuple[tuple[dataclasses.Field[Any], Any], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((f, hints[f.name]) for f in dataclasses.fields(kind) if f.init)


def _concrete(kind: type, value: dict[str, Any], path: str) -> type:
    if dataclasses.is_dataclass(kind) and not kind.__subclasses__():
        return kind
    discriminator = "action" if "action" in typing.get_type_hints(kind) else "type"
    kinds = _leaves(kind, discriminator)
    chosen = kinds.get(str(value.get(discriminator)))
    if chosen is None:
        raise _wrong(f"{path}.{discriminator}".lstrip("."), f"must be one of {', '.join(sorted(kinds))}")
    return chosen


def _leaves(kind: type, discriminator: str) -> dict[str, type]:
    found: dict[str, type] = {}
    subclasses: list[type] = kind.__subclasses__()
    for subclass in subclasses:
        found.update(_leaves(subclass, discriminator))
    name = getattr(kind, discriminator, None)
    if dataclasses.is_dataclass(kind) and name is not None and not kind.__subclasses__():
        found[str(name)] = kind
    return found


def _is_datetime(value: Any) -> bool:
    try:
        return isinstance(value, str) and isinstance(iso_parse(value), datetime)
    except (ValueError, ArithmeticError):
        return False


def _is_duration(value: Any) -> bool:
    try:
        duration = iso_timedelta_parse(value) if isinstance(value, str) else None
    except (ValueError, ArithmeticError):
        return False
    # isodate returns a class of its own for months and years, which have no fixed length.
    return isinstance(duration, timedelta) and abs(duration) <= _MAX_DURATION


def _is_number(value: Any) -> bool:
    return (isinstance(value, float) and math.isfinite(value)) or _is_integer(value)


def _is_integer(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= _MAX_INTEGER and value == int(value)  # `int` refuses infinity and NaN


_SCALARS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("a string", lambda value: isinstance(value, str)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number of at most 64 bits", _is_integer),
    float: ("a number", _is_number),
    datetime: ("an ISO 8601 time", _is_datetime),
    timedelta: ("an ISO 8601 duration without calendar units, of at most a century", _is_duration),
}
