"""Checks that what the SDK converted has the expected shape. Makes no call."""

from __future__ import annotations

from typing import TypeVar

from yellowdog_ray.platform.errors import malformed

NO_OBJECTS = (str, int, float, list)
"""The types that the SDK makes of JSON that is no object."""

T = TypeVar("T")


def entity(value: object, kind: type[T], subject: str) -> T:
    """An SDK entity of the expected class. The SDK returns some JSON of another shape unconverted.

    Raises:
        MalformedResponse: it is something else.
    """
    if not isinstance(value, kind):
        raise malformed(f"{subject}: {type(value).__name__} in place of {kind.__name__}")
    return value


def parts(listed: object, kind: type[T], subject: str) -> list[T]:
    """The elements of a list, which may be missing.

    Raises:
        MalformedResponse: it is no list, or an element is something else.
    """
    return [entity(part, kind, subject) for part in entity(listed or [], list, subject)]


def identified(text: str | None, subject: str) -> str:
    """An id or a name, which every entity has.

    Raises:
        MalformedResponse: it is missing, so the response was other JSON.
    """
    if text is None:
        raise malformed(f"{subject}: no id or name")
    return text
