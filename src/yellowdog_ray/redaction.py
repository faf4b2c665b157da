"""Keep the API key's secret out of logs, error texts and tracebacks, also when the platform repeats a request."""

from __future__ import annotations

import base64
import functools
import html
import json
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

PLACEHOLDER = "(secret)"

_MIN_LENGTH = 8  # a shorter text is no secret; replacing it would damage ordinary words
_hidden: deque[str] = deque(maxlen=8)  # a process has one key and one token, rarely two


def hide(secret: str) -> None:
    """Replace this text from now on in RayDog's errors, in log records and in uncaught exceptions of this process."""
    if len(secret) < _MIN_LENGTH:
        return
    if secret not in _hidden:
        _hidden.append(secret)
    _install()


@functools.cache
def _install() -> None:
    """Install the hooks once per process. A hook installed later, such as Ray's, calls these."""
    logging.setLogRecordFactory(_RedactingFactory(logging.getLogRecordFactory()))
    sys.excepthook = _RedactingHook(sys.excepthook)
    thread_hook = threading.excepthook
    threading.excepthook = lambda failure: _report_in_thread(failure, thread_hook)


def redact(text: str) -> str:
    """The text with every hidden secret replaced, in every form in which it may be written."""
    for secret in _hidden:
        for form in _forms(secret):
            text = text.replace(form, PLACEHOLDER)
    return text


@functools.lru_cache(maxsize=8)
def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it is written in plain text, URLs, JSON, Python, HTML and base64; the longest first."""
    forms = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
    }
    forms |= {json.dumps(form)[1:-1] for form in forms}  # a JSON text in a JSON text
    forms |= {_lower_escapes(form) for form in forms}
    forms |= {form for shift in range(3) for form in _base64(secret, shift)}
    return tuple(sorted((form for form in forms if len(form) >= _MIN_LENGTH), key=len, reverse=True))


def _lower_escapes(text: str) -> str:
    """The same with `%2f` instead of `%2F`."""
    first, *rest = text.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def _base64(secret: str, shift: int) -> tuple[str, str]:
    """The characters of a base64 text that come from the secret alone, when `shift` bytes more than 3 n precede it."""
    data = bytes(shift) + secret.encode()
    whole = len(data) // 3 * 4  # characters of complete groups
    begin = (0, 2, 3)[shift]  # the first characters mix the secret with what precedes it
    return base64.b64encode(data)[begin:whole].decode(), base64.urlsafe_b64encode(data)[begin:whole].decode()


class _RedactingFactory:
    """Creates log records by another factory (Ray has its own), and redacts those that contain a secret.

    It raises nothing of its own: a malformed logging call of any library stays as harmless as it is without it.
    """

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *arguments: Any, **options: Any) -> logging.LogRecord:
        record = self._make(*arguments, **options)
        try:
            _redact_message(record)
        except Exception as error:  # noqa: BLE001 - arguments of any kind, whose methods may raise anything
            record.msg, record.args = f"(malformed log message: {type(error).__name__})", None
        try:
            _redact_traceback(record)
        except Exception as error:  # noqa: BLE001 - as above
            record.exc_info, record.exc_text = None, f"(malformed traceback: {type(error).__name__})"
        return record


def _redact_message(record: logging.LogRecord) -> None:
    try:
        text = record.getMessage()
    except Exception as error:  # noqa: BLE001 - see `_RedactingFactory`
        # `logging` would print message and arguments to standard error, with the secret.
        text = f"(malformed log message: {type(error).__name__}) {record.msg!r} {record.args!r}"
        record.msg, record.args = redact(text), None
        return
    if redact(text) != text:
        record.msg, record.args = redact(text), None


def _redact_traceback(record: logging.LogRecord) -> None:
    if record.stack_info:
        record.stack_info = redact(record.stack_info)
    if record.exc_info and record.exc_info[0] is not None:
        # Formatters use this text instead of formatting the exception.
        record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))


class _RedactingHook:
    """Prints an uncaught exception, with its causes, without secrets; leaves one without a secret to another hook."""

    def __init__(self, report: Callable[..., object]) -> None:
        self._report = report

    def __call__(self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None, /) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        if redact(text) == text:
            self._report(kind, error, trace)
        else:
            sys.stderr.write(redact(text))


def _report_in_thread(failure: threading.ExceptHookArgs, report: Callable[[threading.ExceptHookArgs], object]) -> None:
    def other(*_: object) -> None:
        report(failure)

    _RedactingHook(other)(failure.exc_type, failure.exc_value, failure.exc_traceback)
