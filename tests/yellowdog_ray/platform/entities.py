"""Entities as the SDK returns them."""

from collections.abc import Sequence
from typing import TypeVar

E = TypeVar("E")

NO_OBJECTS: Sequence[object] = [None, 5, "x", []]
"""What the SDK makes of elements of a list that are not as they should be."""


def filled(entity: E, **fields: object) -> E:
    """The entity as the platform returns it: some fields are no arguments."""
    for name, value in fields.items():
        setattr(entity, name, value)
    return entity
