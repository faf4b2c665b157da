"""Keep the API key's secret out of log records and error texts, also when the platform repeats a request."""

from __future__ import annotations

import functools
import logging
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

PLACEHOLDER = "(secret)"

_MIN_LENGTH = 8  # a shorter text is no secret; replacing it would damage ordinary words
_hidden: deque[str] = deque(maxlen=4)  # a process has one key, rarely two


def hide(secret: str) -> None:
    """Replace this text from now on in RayDog's errors and in all log records of this process."""
    if len(secret) < _MIN_LENGTH:
        return
    if secret not in _hidden:
        _hidden.append(secret)
    _install()


@functools.cache
def _install() -> None:
    """Install the factory once per process. A factory installed later, such as Ray's, calls this one."""
    logging.setLogRecordFactory(_RedactingFactory(logging.getLogRecordFactory()))


def redact(text: str) -> str:
    """The text with every hidden secret replaced."""
    for secret in _hidden:
        text = text.replace(secret, PLACEHOLDER)
    return text


class _RedactingFactory:
    """Creates log records by another factory (Ray has its own), and redacts those that contain a secret."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *arguments: Any, **options: Any) -> logging.LogRecord:
        record = self._make(*arguments, **options)
        text = record.getMessage()
        if redact(text) != text:
            record.msg, record.args = redact(text), None
        if record.exc_info and record.exc_info[0] is not None:
            # Formatters use this text instead of formatting the exception.
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record
