"""Reads a page of a list of which the SDK cannot convert every item, such as one with a new status. Makes no call."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from yellowdog_client.common.json import Json
from yellowdog_client.model import Slice

IDENTIFYING = ("id", "name", "namespace", "tag", "type", "status")
"""The fields that remain of an item that cannot be converted. Its status is a text then."""

T = TypeVar("T")


def salvage(page: Any, kind: type[T]) -> Slice[T] | None:
    """A page whose items are converted one by one; None for JSON that is no page of identified items.

    Args:
        page: the JSON.
        kind: the class of its items.
    """
    items = page.get("items") if isinstance(page, dict) else None
    if not isinstance(items, list) or not all(map(_is_identified, items)):
        return None
    next_id = page.get("nextSliceId")
    return Slice(items=[_item(item, kind) for item in items], nextSliceId=None if next_id is None else str(next_id))


def _is_identified(item: object) -> bool:
    return isinstance(item, dict) and all(isinstance(item.get(name), str) for name in ("id", "name", "namespace"))


def _item(item: dict[str, Any], kind: type[T]) -> T:
    try:
        return Json.load(item, kind)
    except Exception:  # noqa: BLE001 - the SDK raises many kinds for JSON of another shape
        return _rest(item, kind)


def _rest(item: dict[str, Any], kind: type[T]) -> T:
    """An item with its identifying fields only."""
    rest = object.__new__(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = item.get(field.name) if field.name in IDENTIFYING else None
        setattr(rest, field.name, value if isinstance(value, str) else None)
    return rest
