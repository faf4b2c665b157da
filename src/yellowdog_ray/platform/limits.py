"""Limits that the platform states when it refuses a request: found in the words of the refusal. Makes no call."""

from __future__ import annotations

import re

import requests

from yellowdog_ray.errors import MalformedResponse, NotAuthorised, PlatformError, Refused

NODES = re.compile(
    r"max_?nodes|targetInstanceCount|\bnodes\b|\binstances\b|[0-9] ?(?:node|instance)\b|\bnode limit\b|\bpool size\b",
    re.IGNORECASE,
)
"""Words of a refusal that is about the number of platform nodes of a pool."""

TASKS = re.compile(r"\btasks\b|[0-9] ?task\b|\btask list\b|\baddTasks\b", re.IGNORECASE)
"""Words of a refusal that is about the number of tasks of a call."""

_NUMBER = re.compile(
    r"(?<![\w.:/-])(?:[0-9]{1,3}(?:[,.\u00a0\u202f ][0-9]{3})+(?![0-9])|[0-9][0-9,]*)(?![.,][0-9])(?![\w-])"
    r"(?! ?(?:milliseconds?|seconds?|minutes?|hours?|days?|s|ms|requests?)\b)"
)
"""A whole number, whose digits may be in groups of three. A decimal fraction is none."""

_SEPARATOR = re.compile(r"[^0-9]")
_STRICT = re.compile(r"(?:<|\b(?:less|fewer|lower|smaller) than|\bbelow|\bunder) ?$", re.IGNORECASE)
_STATUS = re.compile(r"\b(?:status|code)\W{0,3}$", re.IGNORECASE)
_OTHER = re.compile(r"\b(?:error|errno)\W{0,3}$|\bin the (?:last|past) $", re.IGNORECASE)
_USED = re.compile(r" \w+ (?:were|have been|are in use|are already|already)\b", re.IGNORECASE)
"""The words after a number that is a measurement, and no limit."""

_BOUND = re.compile(
    r"at most|more than|less than|fewer than|up to|\bmax|limit|exceed|between|capped|<|>", re.IGNORECASE
)
_RATE = re.compile(r"\brate\b|\bretry|\bper (?:second|minute|hour|day)\b", re.IGNORECASE)


def stated_limit(error: PlatformError, words: re.Pattern[str], below: int, *, was_stated: bool = False) -> int | None:
    """The limit that a refusal states, or None if it states none.

    It is the largest number of the platform's text below the requested one. If that was another number, the next
    request is refused too, and the next smaller number is found. A limit that is refused with its own number is halved.
    A text of another class than `Refused` must have a limit's words, and none of a rate limit; its status is no limit.

    Args:
        error: the refusal.
        words: words that the text has if it is about this limit.
        below: the requested number.
        was_stated: whether the requested number is itself a limit that a refusal has stated.
    """
    text = _answer(error)
    if not words.search(text):
        return None
    numbers = list(_NUMBER.finditer(text))
    if not isinstance(error, Refused):
        if not _BOUND.search(text) or _RATE.search(text):
            return None
        numbers = [match for match in numbers if not _STATUS.search(text, 0, match.start())]
    numbers = [match for match in numbers if not _is_other(match, text)]
    found = [_limit(match, text) for match in numbers]
    limit = max((number for number in found if 0 < number < below), default=None)
    if limit is None and was_stated and below in found:
        return below // 2 or None
    return limit


def _limit(number: re.Match[str], text: str) -> int:
    value = int(_SEPARATOR.sub("", number.group()))
    return value - 1 if _STRICT.search(text, 0, number.start()) else value


def _is_other(number: re.Match[str], text: str) -> bool:
    """Whether a number is an error's, the length of a period, or how many are in use."""
    return bool(_OTHER.search(text, 0, number.start()) or _USED.match(text, number.end()))


def _answer(error: PlatformError) -> str:
    """The platform's text, or an empty one if the platform has not answered or does not accept the key."""
    cause = error.__cause__
    no_answer = isinstance(cause, requests.RequestException) and not isinstance(cause, requests.HTTPError)
    if no_answer or isinstance(error, (MalformedResponse, NotAuthorised)):
        return ""
    return str(cause or error).rpartition("Response Body:")[2]
