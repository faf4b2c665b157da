"""Keeps the API key's secret out of every log line and error text, also when the platform repeats what it was sent."""

from __future__ import annotations

import functools
import logging
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

PLACEHOLDER = "(secret)"

_MIN_LENGTH = 8  # what is shorter is no secret, and its replacement would maim ordinary words
_hidden: deque[str] = deque(maxlen=4)  # a process has one key, seldom another


def hide(secret: str) -> None:
    """Never show this text again, in this process: neither in our errors nor in anybody's log records."""
    if len(secret) < _MIN_LENGTH:
        return
    if secret not in _hidden:
        _hidden.append(secret)
    _install()


@functools.cache
def _install() -> None:
    """Once in a process: whoever puts a factory of their own in place later, such as Ray, has ours below it."""
    logging.setLogRecordFactory(_RedactingFactory(logging.getLogRecordFactory()))


def redact(text: str) -> str:
    """The text with every hidden secret replaced."""
    for secret in _hidden:
        text = text.replace(secret, PLACEHOLDER)
    return text


class _RedactingFactory:
    """Makes log records by another factory (Ray has one of its own), and cleans those that show a secret."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *arguments: Any, **options: Any) -> logging.LogRecord:
        record = self._make(*arguments, **options)
        text = record.getMessage()
        if redact(text) != text:
            record.msg, record.args = redact(text), None
        if record.exc_info and record.exc_info[0] is not None:
            # Formatters take this text instead of making their own from the exception.
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record
