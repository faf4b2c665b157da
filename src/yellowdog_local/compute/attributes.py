"""Definitions of users' own compute attributes, as records by name. Selection does not use them."""

from __future__ import annotations

from yellowdog_client.model import AttributeDefinition

from yellowdog_local.errors import InvalidRequest, NotFound
from yellowdog_local.state.store import Store


class Attributes:
    """The attribute definitions of the compute service. Every method is called under the platform's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[AttributeDefinition]:
        """All definitions, by name."""
        return [self._store.attributes[name] for name in sorted(self._store.attributes)]

    def add(self, entity: AttributeDefinition) -> AttributeDefinition:
        """Add a definition."""
        name = _checked_name(entity)
        if name in self._store.attributes:
            raise InvalidRequest(f"Attribute already exists: '{name}'")
        self._store.attributes[name] = entity
        return entity

    def update(self, entity: AttributeDefinition) -> AttributeDefinition:
        """Replace a definition."""
        name = _checked_name(entity)
        if name not in self._store.attributes:
            raise NotFound("Attribute", name)
        self._store.attributes[name] = entity
        return entity

    def delete(self, name: str) -> None:
        """Delete a definition."""
        if self._store.attributes.pop(name, None) is None:
            raise NotFound("Attribute", name)


def _checked_name(entity: AttributeDefinition) -> str:
    if not entity.name:
        raise InvalidRequest("name must be set")
    return entity.name
