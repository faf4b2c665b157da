"""The mistakes that a model finds in a section of the YAML, in RayDog's words. Must not import `models`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from yellowdog_ray.config.mistakes import TEXT, Mistake, hint, shown
from yellowdog_ray.config.values import Remedy


def mistakes_of(
    model: type[BaseModel], section: object, path: str, extra_known: frozenset[str] = frozenset()
) -> list[Mistake]:
    """The mistakes of a section.

    Args:
        model: the model of the section.
        section: the section's value in the YAML.
        path: its place there.
        extra_known: keys that the model lacks, for hints about unknown keys.
    """
    if not isinstance(section, Mapping):
        return [Mistake((path,), f" must be a mapping of keys to values, not {shown(section)}")]
    try:
        model.model_validate(dict(section))
    except ValidationError as error:
        return [_mistake(model, detail, path, extra_known) for detail in error.errors()]
    return []


def _mistake(model: type[BaseModel], detail: Any, path: str, extra_known: frozenset[str]) -> Mistake:
    place = (path, *detail["loc"])
    key = str(detail["loc"][0]) if detail["loc"] else ""
    if detail["type"] == "extra_forbidden":
        known = sorted(_keys(model) | {word for word in extra_known if not word.startswith("_")})
        return Mistake(place, f" is not a key of RayDog: {hint(str(detail['loc'][-1]), known)}")
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


def _keys(model: type[BaseModel]) -> set[str]:
    names = {field.alias or name for name, field in model.model_fields.items()}
    return {name for name in names if not name.startswith("_")}
