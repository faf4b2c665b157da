"""The levels of the YAML, and the remedy for a key at a level that lacks it. Must not import `models`.

RayDog's keys are those of the models derived from `Section`; Ray's are in the schema of the installed Ray.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from yellowdog_ray.config.installed_schema import rays_schema
from yellowdog_ray.config.mistakes import hint


class Section(BaseModel):
    """A section of the YAML that RayDog reads.

    Attributes:
        level: the section's place, as messages name it; empty if no user writes it.
        rays_keys: keys of Ray in the section.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    level: ClassVar[str] = ""
    rays_keys: ClassVar[frozenset[str]] = frozenset()


def keys_of(model: type[BaseModel]) -> set[str]:
    """The keys of a section that a user may write."""
    rays = model.rays_keys if issubclass(model, Section) else frozenset()
    names = {field.alias or name for name, field in model.model_fields.items()}
    return {name for name in names | rays if not name.startswith("_")}


def remedy_for(key: str, known: Collection[str]) -> str:
    """The remedy for a key that its level lacks: move it to its own level, or write a key that the level has."""
    places = [level for level, keys in _levels().items() if key in keys]
    return f"it belongs {' or '.join(places)}: move it there" if places else hint(key, sorted(known))


def _levels() -> dict[str, Collection[str]]:
    """The keys of each level, outermost first."""
    top: dict[str, Any] = rays_schema()["properties"]
    (node_type,) = top["available_node_types"]["patternProperties"].values()
    own = {section.level: keys_of(section) for section in Section.__subclasses__() if section.level}
    return {"at the top level": top, "in a node type under `available_node_types`": node_type["properties"], **own}
