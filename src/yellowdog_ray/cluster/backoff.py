"""Back-off of node types after failed launches. Pure; independent of the platform.

Ray's autoscaler v2 retries a failed launch request at every tick, without end (autoscaler/v2 of Ray 2.60).
This module does not detect failures; monitor/liveness.py and cluster/launch.py report them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from yellowdog_ray.errors import (
    EndedAfterJoin,
    LaunchBackedOff,
    NodeBuildError,
    NotAuthorised,
    RayDogError,
    Throttled,
    Unavailable,
)

FIRST_SECONDS = 5.0
"""First back-off: Ray's own tick (AUTOSCALER_UPDATE_INTERVAL_S). Each further failure doubles it."""

MAX_SECONDS = 300.0
"""Longest back-off: launches resume within 5 minutes after the cause has gone, such as a missing template."""

MAX_THROTTLED_SECONDS = 30.0
"""Longest back-off after throttling, which is no lack of capacity and passes quickly."""

_OUTAGE = (Unavailable, NotAuthorised)
"""The failures of launches while the platform is unreachable, or accepts no key."""


@dataclass(frozen=True)
class _Entry:
    """A node type that has failed.

    Attributes:
        failures: how many launches in a row.
        ends: when the back-off ends.
        reason: the last failure.
        launched: whether nodes were launched since that failure.
        nodes: the last failure of nodes, if `reason` is that of a request.
    """

    failures: int
    ends: float
    reason: RayDogError
    launched: bool = False
    nodes: _Entry | None = None

    @property
    def of_nodes(self) -> _Entry | None:
        """The last failure of nodes: this entry, or the one that it covers."""
        return self if isinstance(self.reason, NodeBuildError) else self.nodes


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
        entry = self._entries.get(node_type)
        left = entry.ends - self._monotonic() if entry else 0.0
        if entry is not None and left > 0:
            raise LaunchBackedOff(
                f"node type '{node_type}' is retried in {math.ceil(left)} s, after {entry.failures} failed "
                f"launch{'es' * (entry.failures != 1)}: {entry.reason}",
                entry.reason.code,
            )

    def failed(self, node_type: str, reason: RayDogError) -> None:
        """Record a failed launch: the node type backs off, for longer than before.

        Nodes of one launch fail one by one. So several failed nodes without a launch between them are one failure.
        """
        before = self._entries.get(node_type)
        nodes = before.of_nodes if before else None
        if isinstance(reason, NodeBuildError):
            if before is not None and nodes is not None and _is_same_failure(nodes, reason):
                self._entries[node_type] = _with_nodes(before, replace(nodes, reason=reason))
                return
            nodes = None
        failures = before.failures + 1 if before else 1
        longest = MAX_THROTTLED_SECONDS if isinstance(reason, Throttled) else MAX_SECONDS
        seconds = min(longest, FIRST_SECONDS * 2 ** min(failures - 1, 10))
        self._entries[node_type] = _Entry(failures, self._monotonic() + seconds, reason, nodes=nodes)

    def accepted(self, node_type: str) -> None:
        """Record a launch that the platform accepted: that ends a row of failed requests, but not of failed nodes."""
        entry = self._entries.get(node_type)
        nodes = entry.of_nodes if entry else None
        if nodes is not None:
            self._entries[node_type] = replace(nodes, launched=True)
        else:
            self._entries.pop(node_type, None)

    def joined(self, node_type: str) -> None:
        """Record a node of this type that has joined: delete every failure but those of nodes that joined too."""
        self._delete(node_type, lambda reason: not isinstance(reason, EndedAfterJoin))

    def lasted(self, node_type: str) -> None:
        """Record a node of this type that still ran long after it joined: delete failures of nodes that joined too.

        It may be older than nodes that failed before they joined.
        """
        self._delete(node_type, lambda reason: isinstance(reason, EndedAfterJoin))

    def outage_ended(self) -> None:
        """Delete the failures that an outage of the platform explains."""
        for node_type in list(self._entries):
            self._delete(node_type, lambda reason: isinstance(reason, _OUTAGE))

    def reconfigured(self) -> None:
        """Delete every failure: the configuration has changed, and may have removed the cause."""
        self._entries.clear()

    def _delete(self, node_type: str, applies: Callable[[RayDogError], bool]) -> None:
        entry = self._entries.get(node_type)
        if entry is None:
            return
        nodes = entry.nodes if entry.nodes and not applies(entry.nodes.reason) else None
        left = nodes if applies(entry.reason) else replace(entry, nodes=nodes)
        if left is None:
            self._entries.pop(node_type, None)
        else:
            self._entries[node_type] = left


def _is_same_failure(nodes: _Entry, reason: NodeBuildError) -> bool:
    """Whether a failed node belongs to the last failure of nodes.

    A node that fails before it joins was launched later than the nodes that joined: its failure is another one.
    """
    is_of_later_launch = isinstance(nodes.reason, EndedAfterJoin) and not isinstance(reason, EndedAfterJoin)
    return not nodes.launched and not is_of_later_launch


def _with_nodes(entry: _Entry, nodes: _Entry) -> _Entry:
    """An entry whose last failure of nodes is this one."""
    return nodes if entry.of_nodes is entry else replace(entry, nodes=nodes)
