"""Creates objects of the SDK's classes with every field of a caller set to a value other than its default."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from yellowdog_client.common.json import Json

_T = TypeVar("_T")
_PLAIN: dict[Any, Any] = {
    str: "text",
    int: 7,
    float: 0.5,  # some are probabilities
    datetime: datetime(2031, 5, 6, 7, 8, 9, 123_000, tzinfo=timezone.utc),
    timedelta: timedelta(hours=30, minutes=1, seconds=2.5),
}


def filled(cls: type[_T], **given: Any) -> _T:
    """An object with some fields given; those given as None are omitted."""
    return _filled(cls, {}, given)


def leaves(cls: type[_T]) -> list[type[_T]]:
    """The concrete classes of a hierarchy."""
    below = [leaf for child in cls.__subclasses__() for leaf in leaves(child)]
    return sorted(below, key=lambda leaf: leaf.__name__) or [cls]


def changed(sent: Any, kept: Any) -> list[str]:
    """The values sent that are not in the object kept, at any depth; fields added by the platform are ignored."""
    return list(_changed(Json.dump(sent), Json.dump(kept), type(sent).__name__))


def _changed(sent: Any, kept: Any, path: str) -> Iterator[str]:
    if isinstance(sent, dict) and isinstance(kept, dict):
        for key, value in sent.items():
            yield from _changed(value, kept.get(key), f"{path}.{key}")
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        for number, (one, other) in enumerate(zip(sent, kept, strict=True)):
            yield from _changed(one, other, f"{path}[{number}]")
    elif sent != kept:
        yield f"{path}: {sent!r} became {kept!r}"


def _filled(cls: Any, generics: dict[Any, Any], given: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(cls)
    values = {
        field.name: given[field.name] if field.name in given else _example(hints[field.name], field.default, generics)
        for field in dataclasses.fields(cls)
        if field.init
    }
    return cls(**values)


def _example(hint: Any, default: Any, generics: dict[Any, Any]) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in generics:
        return _example(generics[hint], None, {})
    if origin is typing.Union:
        return _example(next(a for a in arguments if a is not type(None)), default, generics)
    if origin in (list, set):
        return origin([_example(arguments[0], None, generics)])
    if origin is dict:
        return {_example(arguments[0], None, generics): _example(arguments[1], None, generics)}
    if origin is not None:
        return _filled(origin, dict(zip(origin.__parameters__, arguments, strict=True)), {})
    return _example_of_class(hint, default)


def _example_of_class(cls: Any, default: Any) -> Any:
    if cls is bool:
        return default is not True
    if issubclass(cls, enum.Enum):
        return next(member for member in reversed(cls) if member is not default)
    if cls in _PLAIN:
        return _PLAIN[cls]
    return _filled(leaves(cls)[0], {}, {})
