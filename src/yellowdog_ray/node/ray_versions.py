"""The versions of Ray that differ in token authentication. No I/O; imports nothing of RayDog."""

from __future__ import annotations

import re

FIRST_WITH_TOKENS = (2, 52)
"""The first version of Ray, major and minor, with token authentication."""

FIRST_WITH_CLOSED_AGENTS = (2, 54)
"""The first version of Ray whose dashboard agents require the token (`dashboard/http_server_agent.py`)."""

OPEN_AGENTS_PATTERN = "2.5[23].*"
"""A pattern of the shell that matches exactly the versions with tokens whose dashboard agents do not require them."""

_VERSION = re.compile(r"(\d+)\.(\d+)")


def has_tokens(ray_version: str) -> bool:
    """Whether this version of Ray has token authentication."""
    return _is_at_least(ray_version, FIRST_WITH_TOKENS)


def agents_require_tokens(ray_version: str) -> bool:
    """Whether the dashboard agents of this version of Ray require the token too."""
    return _is_at_least(ray_version, FIRST_WITH_CLOSED_AGENTS)


def _is_at_least(ray_version: str, first: tuple[int, int]) -> bool:
    found = _VERSION.match(ray_version)
    return found is not None and (int(found[1]), int(found[2])) >= first
