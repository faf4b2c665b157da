"""Patterns of calls, as in `POST /work/taskGroups/*/tasks`. Pure; knows no routes and no rules."""

from __future__ import annotations

import re
from functools import lru_cache

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_PRIVATE = ("/agent/", "/admin/")
_CONVERTOR = re.compile(r"\{([^}:]+):[^}]+\}")
_WILDCARDS = re.compile(r"(\*\*|\*)")


class CallPattern:
    """A method (or none for all) and a path, in which `*` is any text without a slash and `**` any text at all.

    A path may be a real one or that of a route: `/work/tasks/ydid:task:1`, `/work/tasks/*` and `/work/tasks/{id}`.

    Args:
        text: the pattern; `*` alone is every call.

    Raises:
        ValueError: it is none.
    """

    def __init__(self, text: str) -> None:
        method, _, path = text.strip().rpartition(" ")
        self.method = method.strip().upper() or "*"
        self.path = "/**" if path == "*" else path.rstrip("/") or path
        if self.method not in ("*", *METHODS) or not self.path.startswith("/"):
            raise ValueError(
                f"'{text}' is no pattern of calls: write a method and a path, such as 'POST /work/taskGroups/*/tasks', "
                f"'GET /work/**' or '*'"
            )
        self._regex = re.compile("".join(_translated(part) for part in _WILDCARDS.split(self.path)))
        # What agents and administrators call is spared by everything that does not name it.
        self._private = (self.path + "/").startswith(_PRIVATE)

    def matches(self, method: str, path: str, route: str) -> bool:
        """Whether a call is meant, by its path or by that of its route."""
        if self.method not in ("*", method) or (is_private(path) and not self._private):
            return False
        return bool(self._regex.fullmatch(path.rstrip("/") or "/") or self._regex.fullmatch(route))


@lru_cache(maxsize=256)
def pattern(text: str) -> CallPattern:
    """The pattern that a text stands for.

    Raises:
        ValueError: it stands for none.
    """
    return CallPattern(text)


def is_private(path: str) -> bool:
    """Whether a path is one of agents or administrators, and none of the platform's own API."""
    return path.startswith(_PRIVATE)


def route_name(path: str) -> str:
    """A route's path without its convertors and its trailing slash: `/workerPools/{id:ydid}` is `/workerPools/{id}`."""
    return _CONVERTOR.sub(r"{\1}", path).rstrip("/") or "/"


def _translated(part: str) -> str:
    if part == "**":
        return ".*"
    return "[^/]*" if part == "*" else re.escape(part)
