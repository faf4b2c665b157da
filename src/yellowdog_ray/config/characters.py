"""Characters above U+FFFF, such as emoji, in the configuration on the head. Pure.

`ray up` writes that configuration as JSON, with such a character as a surrogate pair. Ray's autoscaler reads the file
as YAML, which leaves two halves. No text with halves can be encoded or sent.
"""

from __future__ import annotations

from typing import TypeVar, cast

T = TypeVar("T")

_LAST_WHOLE = "\uffff"


def joined(value: T) -> T:
    """The same value, with the halves of pairs in its texts joined. Half of a pair alone stays."""
    if isinstance(value, str):
        text = value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return cast("T", text)
    if isinstance(value, dict):
        return cast("T", {joined(key): joined(part) for key, part in value.items()})
    if isinstance(value, list):
        return cast("T", [joined(part) for part in value])
    return value


def has_halves(text: str) -> bool:
    """Whether a text contains half of a surrogate pair."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def is_split_by_ray(text: str) -> bool:
    """Whether a text contains halves of pairs as soon as Ray's autoscaler has read it."""
    return has_halves(text) or any(character > _LAST_WHOLE for character in text)
