"""Keeps autoscaler v1 from launching nodes for placement groups that have theirs. No I/O of its own."""

from __future__ import annotations

from collections.abc import Callable

MAX_SKIPPED_TICKS = 5
"""Maximum consecutive v1 ticks skipped while placement-group data is stale: where groups are placed all the time, other
demand must not wait for ever."""


class ScaleGate:
    """Decides whether autoscaler v1 may scale on a tick.

    Args:
        is_stale: whether Ray's control store counts placement groups as waiting that have their nodes.
    """

    def __init__(self, is_stale: Callable[[], bool]) -> None:
        self._is_stale = is_stale
        self._skipped = 0

    def is_open(self) -> bool:
        """Whether v1 may scale now: once per tick."""
        skip = self._skipped < MAX_SKIPPED_TICKS and self._is_stale()
        self._skipped = self._skipped + 1 if skip else 0
        return not skip
