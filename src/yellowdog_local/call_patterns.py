"""Patterns of API calls, such as `POST /work/taskGroups/*/tasks`. No I/O; imports no routes and no rules."""

from __future__ import annotations

import re
from functools import lru_cache

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_PRIVATE = ("/agent/", "/admin/")
_CONVERTOR = re.compile(r"\{([^}:]+):[^}]+\}")
_WILDCARDS = re.compile(r"(\*\*|\*)")


class CallPattern:
    """A method (or none for all) and a path, where `*` is any text without a slash and `**` any text.

    A path is that of a call or of a route: `/work/tasks/ydid:task:1`, `/work/tasks/*` and `/work/tasks/{id}`.

    Args:
        text: the pattern; `*` alone is every call.

    Raises:
        ValueError: the text is not a pattern.
    """

    def __init__(self, text: str) -> None:
        method, _, path = text.strip().rpartition(" ")
        self.method = method.strip().upper() or "*"
        self.path = "/**" if path == "*" else path.rstrip("/") or path
        if self.method not in ("*", *METHODS) or not self.path.startswith("/"):
            raise ValueError(
                f"'{text}' is not a pattern of calls: give a method and a path, such as "
                f"'POST /work/taskGroups/*/tasks', 'GET /work/**' or '*'"
            )
        self._regex = re.compile("".join(_translated(part) for part in _WILDCARDS.split(self.path)))
        # A pattern applies to calls of agents and administrators only if it names them.
        self._private = (self.path + "/").startswith(_PRIVATE)

    def matches(self, method: str, path: str, route: str) -> bool:
        """Whether a call matches, by its path or by that of its route."""
        if self.method not in ("*", method) or (is_private(path) and not self._private):
            return False
        return bool(self._regex.fullmatch(path.rstrip("/") or "/") or self._regex.fullmatch(route))


@lru_cache(maxsize=256)
def pattern(text: str) -> CallPattern:
    """The pattern of a text.

    Raises:
        ValueError: the text is not a pattern.
    """
    return CallPattern(text)


def is_private(path: str) -> bool:
    """Whether a path is for agents or administrators and not part of the platform's API."""
    return path.startswith(_PRIVATE)


def route_name(path: str) -> str:
    """A route's path without convertors and trailing slash: `/workerPools/{id:ydid}` gives `/workerPools/{id}`."""
    return _CONVERTOR.sub(r"{\1}", path).rstrip("/") or "/"


def _translated(part: str) -> str:
    if part == "**":
        return ".*"
    return "[^/]*" if part == "*" else re.escape(part)
