"""Back-off of node types after failed launches. Pure; independent of the platform.

Ray's autoscaler v2 repeats a failed launch request at every tick, without end (autoscaler/v2 of Ray 2.60).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from yellowdog_ray.errors import LaunchBackedOff, NodeBuildError, RayDogError, Throttled

FIRST_SECONDS = 5.0
"""First back-off: Ray's own tick (AUTOSCALER_UPDATE_INTERVAL_S). Each further failure doubles it."""

MAX_SECONDS = 300.0
"""Longest back-off: launches resume within 5 minutes after the cause has gone, such as a missing template."""

MAX_THROTTLED_SECONDS = 30.0
"""Longest back-off after throttling, which is no lack of capacity and passes quickly."""


@dataclass(frozen=True)
class _Entry:
    failures: int
    ends: float
    reason: RayDogError


class BackOff:
    """The node types in back-off. Thread-safe: entries are immutable and replaced as a whole.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._entries: dict[str, _Entry] = {}

    def check(self, node_type: str) -> None:
        """Let a launch pass unless its node type is in back-off.

        Raises:
            LaunchBackedOff: it is; the text has the reason and the remaining seconds.
        """
        entry, left = self._entries.get(node_type), self.remaining(node_type)
        if entry is not None and left > 0:
            raise LaunchBackedOff(
                f"node type '{node_type}' is retried in {math.ceil(left)} s, after {entry.failures} failed "
                f"launch{'es' * (entry.failures != 1)}: {entry.reason}",
                entry.reason.code,
            )

    def failing(self) -> frozenset[str]:
        """The node types whose last launch failed, in back-off or after it."""
        return frozenset(list(self._entries))

    def remaining(self, node_type: str) -> float:
        """The seconds until the end of a node type's back-off; 0 without one."""
        entry = self._entries.get(node_type)
        return max(0.0, entry.ends - self._monotonic()) if entry else 0.0

    def failed(self, node_type: str, reason: RayDogError) -> None:
        """Record a failed launch: the node type backs off, for longer than before."""
        before = self._entries.get(node_type)
        failures = before.failures + 1 if before else 1
        longest = MAX_THROTTLED_SECONDS if isinstance(reason, Throttled) else MAX_SECONDS
        seconds = min(longest, FIRST_SECONDS * 2 ** min(failures - 1, 10))
        self._entries[node_type] = _Entry(failures, self._monotonic() + seconds, reason)

    def accepted(self, node_type: str) -> None:
        """Record a launch that the platform accepted: that ends a row of failed requests, but not of failed nodes."""
        entry = self._entries.get(node_type)
        if entry is not None and not isinstance(entry.reason, NodeBuildError):
            self._entries.pop(node_type, None)

    def joined(self, node_type: str) -> None:
        """Record a node of this type that has joined: forget every failure."""
        self._entries.pop(node_type, None)
