"""Limits that the platform states when it refuses a request: found in the words of the refusal. Makes no call."""

from __future__ import annotations

import re

from yellowdog_ray.errors import PlatformError

NODES = re.compile(r"max_?nodes|targetInstanceCount|\bnodes\b|\binstances\b", re.IGNORECASE)
"""Words of a refusal that is about the number of platform nodes of a pool."""

TASKS = re.compile(r"\btasks\b", re.IGNORECASE)
"""Words of a refusal that is about the number of tasks of a call."""

_NUMBER = re.compile(r"(?<![\w.:/-])[0-9][0-9,]*(?![\w-])")


def stated_limit(error: PlatformError, words: re.Pattern[str], below: int) -> int | None:
    """The limit that a refusal states, or None if it states none.

    It is the largest number of the platform's text below the requested one. If that was another number, the next
    request is refused too, and the next smaller number is found.

    Args:
        error: the refusal.
        words: words that the text has if it is about this limit.
        below: the requested number.
    """
    text = str(error.__cause__ or error).rpartition("Response Body:")[2]
    if not words.search(text):
        return None
    numbers = [int(digits.replace(",", "")) for digits in _NUMBER.findall(text)]
    return max((number for number in numbers if 0 < number < below), default=None)
