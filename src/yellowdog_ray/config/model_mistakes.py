"""The mistakes that a model finds in a section of the YAML, in RayDog's words. Must not import `models`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from yellowdog_ray.config.levels import keys_of, remedy_for
from yellowdog_ray.config.mistakes import TEXT, Mistake, shown
from yellowdog_ray.config.values import Remedy


def mistakes_of(model: type[BaseModel], section: object, path: str) -> list[Mistake]:
    """The mistakes of a section.

    Args:
        model: the model of the section.
        section: the section's value in the YAML.
        path: its place there.
    """
    if not isinstance(section, Mapping):
        return [Mistake((path,), f" must be a mapping of keys to values, not {shown(section)}")]
    try:
        model.model_validate(dict(section))
    except ValidationError as error:
        return [_mistake(model, detail, path) for detail in error.errors()]
    return []


def _mistake(model: type[BaseModel], detail: Any, path: str) -> Mistake:
    place = (path, *detail["loc"])
    key = str(detail["loc"][0]) if detail["loc"] else ""
    if detail["type"] == "extra_forbidden":
        return Mistake(place, f" is not a key of RayDog: {remedy_for(str(detail['loc'][-1]), keys_of(model))}")
    remedy = remedy_of(model, key)
    if detail["type"] == "missing":
        return Mistake(place, f" is missing{remedy}")
    if detail["type"] == "value_error":
        return Mistake(place, f": {detail['ctx']['error']}")
    if detail["type"] == "string_type" and not remedy:
        return Mistake(place, f" is {shown(detail['input'])}: give {TEXT}")
    return Mistake(place, f" is {shown(detail['input'])}, which is wrong ({detail['msg'].lower()}){remedy}")


def remedy_of(model: type[BaseModel], key: str) -> str:
    """The end of a message about a key: a colon and its remedy; empty if it has none."""
    field = model.model_fields.get(key)
    remedies = [part.text for part in field.metadata if isinstance(part, Remedy)] if field else []
    return f": {remedies[0]}" if remedies else ""
