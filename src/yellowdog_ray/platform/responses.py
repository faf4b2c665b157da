"""The last HTTP response of each thread, so that a malformed one can be quoted in the log. Decides nothing."""

from __future__ import annotations

import json
import threading
from typing import Any

import requests

from yellowdog_ray.redaction import redact

MAX_QUOTE = 500
"""Characters of a response body that the log shows."""

_OMITTED = "(omitted)"
_PRIVATE_KEYS = frozenset({"environment", "taskData", "userData", "arguments"})
"""Keys whose values may hold a user's secrets."""


class Responses:
    """Keeps the last response that each thread has received from one session. Thread-safe."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._attached = False

    def attach(self, session: requests.Session) -> None:
        """Keep the responses of this session from now on."""
        self._attached = True
        session.hooks["response"].append(self._keep)

    def clear(self) -> None:
        """Drop this thread's response."""
        self._local.response = None

    @property
    def received(self) -> bool:
        """Whether this thread has received a response since `clear`; True where no session is attached."""
        return self._last is not None or not self._attached

    def json(self) -> Any:
        """The JSON of this thread's response; None without any."""
        try:
            return self._last.json() if self._last is not None else None
        except (ValueError, RecursionError):
            return None

    def quote(self) -> str:
        """This thread's response, redacted, with at most `MAX_QUOTE` characters of its body."""
        response = self._last
        if response is None:
            return "no response"
        body = redact(_without_private_values(response))
        cut = f"{body[:MAX_QUOTE]} ..." if len(body) > MAX_QUOTE else body
        return f"HTTP {response.status_code}, {len(response.content)} bytes, from {redact(str(response.url))}: {cut}"

    @property
    def _last(self) -> requests.Response | None:
        return getattr(self._local, "response", None)

    def _keep(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._local.response = response


def _without_private_values(response: requests.Response) -> str:
    """The body's text, where it is JSON without the values of `_PRIVATE_KEYS`."""
    text = response.text
    try:
        return json.dumps(_omit(json.loads(text)))
    except (ValueError, RecursionError):
        return text


def _omit(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _OMITTED if key in _PRIVATE_KEYS and item else _omit(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_omit(item) for item in value]
    return value
