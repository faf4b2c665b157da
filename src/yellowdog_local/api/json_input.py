"""Decodes JSON that anybody may have sent: bounded in size and depth, finite numbers only. Imports no models."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

from yellowdog_local.errors import BodyTooLarge, InvalidRequest

# Of a body as sent, and of what it decompresses to: 10,000 tasks (`max_tasks_per_call`) with 6 KiB each.
MAX_BODY_BYTES = 64 * 1024 * 1024
# The deepest body of the API has about 20 levels. The conversion to models recurses once or more per level.
MAX_DEPTH = 100
_GZIP = 16 + zlib.MAX_WBITS
_NOT_GZIP = "the request body is not gzip, as its Content-Encoding says"


def read_json(body: bytes, headers: Mapping[str, str]) -> Any:
    """The JSON value of a request's body; None for an empty body.

    Args:
        body: the body as sent.
        headers: the request's headers, by lower-case name; `content-encoding: gzip` is supported.

    Raises:
        BodyTooLarge: the body decompresses to more than MAX_BODY_BYTES.
        InvalidRequest: it is not gzip, not JSON, nested too deeply, or has a number that is not finite.
    """
    if headers.get("content-encoding", "").lower() == "gzip":
        body = _decompressed(body)
    return parse_json(body, "the request body") if body else None


def parse_json(text: str | bytes, what: str, *, unique_keys: bool = False) -> Any:
    """The value of a JSON text.

    Args:
        text: the text; bytes are UTF-8, UTF-16 or UTF-32.
        what: the subject of error messages.
        unique_keys: whether an object may have each key only once; otherwise the last one counts.

    Raises:
        InvalidRequest: it is not JSON, nested too deeply, or has a number that is not finite.
    """
    pairs = _unique if unique_keys else None
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=pairs)
        _check_text(value, text)
    except RecursionError:
        raise InvalidRequest(f"{what} is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise InvalidRequest(f"{what} is not JSON: {error}") from error
    if _is_deeper(value, MAX_DEPTH):
        raise InvalidRequest(f"{what} is nested more than {MAX_DEPTH} levels deep")
    return value


def _decompressed(body: bytes) -> bytes:
    parts: list[bytes] = []
    remaining = MAX_BODY_BYTES
    while body:
        member = zlib.decompressobj(_GZIP)
        try:
            # One byte more than allowed shows that there is more, whatever it would decompress to.
            parts.append(member.decompress(body, remaining + 1))
        except zlib.error as error:
            raise InvalidRequest(_NOT_GZIP) from error
        remaining -= len(parts[-1])
        if remaining < 0:
            raise BodyTooLarge(MAX_BODY_BYTES)
        if not member.eof:
            raise InvalidRequest(_NOT_GZIP)
        body = member.unused_data
    return b"".join(parts)


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether containers are nested more deeply. Iterative: recursion would meet the limit that it checks."""
    level = [value] if isinstance(value, dict | list) else []
    while level and depth:
        depth -= 1
        children = (item for one in level for item in (one.values() if isinstance(one, dict) else one))
        level = [child for child in children if isinstance(child, dict | list)]
    return bool(level)


def _check_text(value: Any, text: str | bytes) -> None:
    """Refuse strings that are no Unicode text: a lone surrogate cannot be encoded, stored or sent."""
    if (b"\\u" if isinstance(text, bytes) else "\\u") in text:  # type: ignore[operator]
        json.dumps(value, ensure_ascii=False).encode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(name for name in names if names.count(name) > 1)}' occurs twice")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")
