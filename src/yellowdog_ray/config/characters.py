"""Characters above U+FFFF, such as emoji, in the configuration on the head. No I/O, no state.

`ray up` writes that configuration as JSON, with such a character as a surrogate pair. Ray's autoscaler reads the file
as YAML, which leaves two lone surrogates. No text with one can be encoded or sent.
"""

from __future__ import annotations

from typing import TypeVar, cast

T = TypeVar("T")

_LAST_WHOLE = "\uffff"


def joined(value: T) -> T:
    """The same value, with the surrogate pairs in its texts joined. A lone surrogate stays."""
    if isinstance(value, str):
        text = value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return cast("T", text)
    if isinstance(value, dict):
        return cast("T", {joined(key): joined(part) for key, part in value.items()})
    if isinstance(value, list):
        return cast("T", [joined(part) for part in value])
    return value


def has_lone_surrogate(text: str) -> bool:
    """Whether a text contains a lone surrogate."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def is_split_by_ray(text: str) -> bool:
    """Whether a text contains lone surrogates as soon as Ray's autoscaler has read it."""
    return has_lone_surrogate(text) or any(character > _LAST_WHOLE for character in text)
