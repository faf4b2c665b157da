"""Converts between the SDK's models and JSON: query parameters, bodies, answers. Imports no routes."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from datetime import datetime
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

from starlette.datastructures import QueryParams
from yellowdog_client.common.json import Json
from yellowdog_client.model import SliceReference

from yellowdog_local.api.json_input import parse_json
from yellowdog_local.api.strict import check
from yellowdog_local.errors import InvalidRequest

_T = TypeVar("_T")
_RANGES = {"Double": float, "Integer": int}
# Parameters that select the form of the answer. They filter nothing.
_MODES = {"sliced", "summaries"}


def load(value: Any, model: type[_T]) -> _T:
    """A model from its decoded JSON.

    Raises:
        InvalidRequest: it does not have the model's types; the message names the field.
    """
    check(value, model)
    try:
        return Json.load(value, model)
    except Exception as error:
        raise InvalidRequest(f"the request body is not a {model}: {error}") from error


def flattened(query: QueryParams, model: type[Any]) -> QueryParams:
    """The query with JSON objects, such as `nodeSearch={...}`, replaced by their fields.

    The SDK sends the fields one by one; other clients send objects, as the API's description says.
    """
    names = {_parameter(model), _parameter(SliceReference)}
    pairs: list[tuple[str, str]] = []
    for name, text in query.multi_items():
        pairs += _fields_of(name, text) if name in names else [(name, text)]
    return QueryParams(pairs)


def _parameter(model: type[Any]) -> str:
    return model.__name__[0].lower() + model.__name__[1:]


def _fields_of(name: str, text: str) -> list[tuple[str, str]]:
    value = parse_json(text, name)
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be a JSON object")
    pairs: list[tuple[str, str]] = []
    for field, content in value.items():
        if isinstance(content, dict):
            pairs += [(f"{field}.{end}", str(bound)) for end, bound in content.items() if bound is not None]
        else:
            items = content if isinstance(content, list) else [content]
            pairs += [(field, str(item)) for item in items if item is not None]
    return pairs


def load_search(query: QueryParams, model: type[_T]) -> _T:
    """A search object from its query parameters."""
    values: dict[str, Any] = {}
    for name, hint in _hints(cast("Any", model)).items():
        value = _query_value(query, name, hint)
        if value is not None:
            values[name] = value
    return load(values, model)


@cache
def _hints(model: Any) -> dict[str, Any]:
    """The types of a model's fields, without `Optional`. Cached: the models are few, and each lookup is slow."""
    hints = typing.get_type_hints(model)
    return {field.name: _plain(hints[field.name]) for field in dataclasses.fields(model)}


def refuse_unknown(query: QueryParams, model: type[Any]) -> None:
    """Refuse unknown filters. If they were ignored, the search would match too much."""
    known = {field.name for kind in (model, SliceReference) for field in dataclasses.fields(kind)}
    known |= {f"{name}.{end}" for name in known for end in ("min", "max")}
    unknown = sorted(set(query) - known - _MODES)
    if unknown:
        raise InvalidRequest(f"{', '.join(unknown)}: no such filter in {model.__name__}")


def flag(query: QueryParams, name: str) -> bool:
    """A boolean parameter; upper and lower case are equal. False if absent."""
    return _boolean(name, query.get(name, "false"))


def dump(value: object) -> bytes:
    """The JSON of an answer."""
    return json.dumps(Json.dump(value), separators=(",", ":")).encode()


def error_body(error_type: str, message: str) -> bytes:
    """The JSON of a refusal."""
    body = {"errorType": error_type, "message": message, "detail": []}
    return json.dumps(body).encode()


def _query_value(query: QueryParams, name: str, hint: Any) -> Any:
    # An empty value is no filter: the official command line sends `namespaces=` for all namespaces.
    if get_origin(hint) is list:
        items = [_scalar(name, text, get_args(hint)[0]) for text in query.getlist(name) if text]
        return items or None
    if dataclasses.is_dataclass(hint):
        kind = next((kind for name, kind in _RANGES.items() if name in str(hint)), datetime)
        ends = {end: query.get(f"{name}.{end}") for end in ("min", "max")}
        return {end: _scalar(f"{name}.{end}", text, kind) for end, text in ends.items() if text} or None
    text = query.get(name)
    return _scalar(name, text, hint) if text else None


def _plain(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _scalar(name: str, text: str, kind: Any) -> Any:
    if kind is bool:
        return _boolean(name, text)
    if kind in (int, float):
        return _number(name, text, kind)
    if isinstance(kind, type) and issubclass(kind, Enum) and text not in kind.__members__:
        raise InvalidRequest(f"{name} must be one of {', '.join(kind.__members__)}, not '{text}'")
    return text


def _number(name: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        number = kind(text)
    except ValueError as error:
        raise InvalidRequest(f"{name} must be a number, not '{text}'") from error
    if not math.isfinite(number):
        raise InvalidRequest(f"{name} must be a finite number, not '{text}'")
    return number


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise InvalidRequest(f"{name} must be true or false, not '{text}'")
    return text.lower() == "true"
