"""How long a node type whose launch has failed is left alone. Pure; knows no platform.

Ray's autoscaler v2 asks again on every tick, without end (autoscaler/v2 of Ray 2.60); so the pause is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from yellowdog_ray.errors import LaunchPaused, NodeBuildError, RayDogError, Throttled

FIRST_SECONDS = 5.0
"""The first pause: Ray's own tick (AUTOSCALER_UPDATE_INTERVAL_S). Each further failure doubles it."""

LONGEST_SECONDS = 300.0
"""Longest pause: a cause that has gone, such as a template restored, is noticed within 5 minutes."""

LONGEST_THROTTLED_SECONDS = 30.0
"""Longest pause after throttling, which says nothing about capacity and passes quickly."""


@dataclass(frozen=True)
class _Pause:
    failures: int
    ends: float
    reason: RayDogError


class BackOff:
    """Pauses by node type. Thread-safe by holding nothing but whole entries of a dict.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._pauses: dict[str, _Pause] = {}

    def check(self, node_type: str) -> None:
        """Do nothing, unless the node type is in a pause.

        Raises:
            LaunchPaused: it is; the text has the reason, and when the next try will be.
        """
        pause = self._pauses.get(node_type)
        left = pause.ends - self._monotonic() if pause else 0.0
        if pause is not None and left > 0:
            raise LaunchPaused(
                f"node type '{node_type}' is tried again in {math.ceil(left)} s, after {pause.failures} failed "
                f"launch{'es' * (pause.failures != 1)}: {pause.reason}",
                pause.reason.code,
            )

    def failed(self, node_type: str, reason: RayDogError) -> None:
        """A launch has failed: begin a pause, longer than the last."""
        before = self._pauses.get(node_type)
        failures = before.failures + 1 if before else 1
        longest = LONGEST_THROTTLED_SECONDS if isinstance(reason, Throttled) else LONGEST_SECONDS
        seconds = min(longest, FIRST_SECONDS * 2 ** min(failures - 1, 10))
        self._pauses[node_type] = _Pause(failures, self._monotonic() + seconds, reason)

    def accepted(self, node_type: str) -> None:
        """The platform has accepted a launch: that ends a row of failed requests, but not of nodes that never came."""
        pause = self._pauses.get(node_type)
        if pause is not None and not isinstance(pause.reason, NodeBuildError):
            self._pauses.pop(node_type, None)

    def joined(self, node_type: str) -> None:
        """A node of this type has come up: forget every failure."""
        self._pauses.pop(node_type, None)
