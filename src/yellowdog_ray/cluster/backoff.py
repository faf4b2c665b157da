"""Back-off of node types after failed launches. No I/O; independent of the platform.

Ray's autoscaler v2 retries a failed launch request at every tick, without end (autoscaler/v2 of Ray 2.60).
This module does not detect failures; monitor/liveness.py and cluster/launch.py report them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from yellowdog_ray.cluster.journal import Act, Note, note_nothing
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


class _Kind(Enum):
    """The kind of a failure: each kind has an end of its own."""

    REQUEST = "a launch that the platform refused"
    BEFORE_JOIN = "nodes that never joined"
    AFTER_JOIN = "nodes that ended soon after they joined"


_NODES = (_Kind.BEFORE_JOIN, _Kind.AFTER_JOIN)


@dataclass(frozen=True)
class _Entry:
    """Failures of one kind, of one node type.

    Attributes:
        failures: how many launches in a row, of any kind.
        ends: when the back-off ends.
        reason: the last failure.
        launched: whether nodes were launched since that failure.
    """

    failures: int
    ends: float
    reason: RayDogError
    launched: bool = False


@dataclass(frozen=True)
class Failing:
    """A node type after failed launches, as others see it.

    Attributes:
        failures: how many in a row.
        left: seconds until the next try; 0 or less if it may be tried.
        reason: the last failure.
    """

    node_type: str
    failures: int
    left: float
    reason: RayDogError


class BackOff:
    """The node types in back-off. Thread-safe: entries are immutable, and each node type's are replaced as a whole.

    Args:
        monotonic: seconds that never go back.
        note: receives each failure.
    """

    def __init__(self, monotonic: Callable[[], float], note: Note = note_nothing) -> None:
        self._monotonic = monotonic
        self._note = note
        self._entries: dict[str, dict[_Kind, _Entry]] = {}

    def check(self, node_type: str) -> None:
        """Let a launch pass unless its node type is in back-off.

        Raises:
            LaunchBackedOff: it is; the text has the reason and the remaining seconds.
        """
        entry = max(self._of(node_type).values(), key=lambda entry: entry.ends, default=None)
        left = entry.ends - self._monotonic() if entry else 0.0
        if entry is not None and left > 0:
            raise LaunchBackedOff(
                f"node type '{node_type}' is retried in {math.ceil(left)} s, after {entry.failures} failed "
                f"launch{'es' * (entry.failures != 1)}: {entry.reason}",
                entry.reason.code,
            )

    def failing(self) -> list[Failing]:
        """The node types with failed launches since their last success, each with its longest back-off."""
        now = self._monotonic()
        of_types = [(name, list(kinds.values())) for name, kinds in self._entries.copy().items()]
        longest = [(name, max(entries, key=lambda entry: entry.ends)) for name, entries in of_types if entries]
        return [Failing(name, entry.failures, entry.ends - now, entry.reason) for name, entry in longest]

    def waits(self, node_type: str) -> bool:
        """Whether a node type is in back-off."""
        now = self._monotonic()
        return any(entry.ends > now for entry in self._of(node_type).values())

    def failed(self, node_type: str, reason: RayDogError, node_ids: Sequence[str] = ()) -> None:
        """Record a failed launch: the node type backs off, for longer than before.

        Nodes of one launch fail one by one. So several failed nodes of a kind without a launch between them are one
        failure. Those of the other kind may be of an earlier or later launch: they back off as long, from now on.

        Args:
            node_type: the node type.
            reason: the failure.
            node_ids: the nodes that failed, if the platform had accepted the launch.
        """
        self._note(Act.BACKED_OFF, str(reason), node_type=node_type, node_ids=node_ids, code=reason.code)
        entries, kind = self._of(node_type), _kind_of(reason)
        same = entries.get(kind)
        if same is not None and kind in _NODES and not same.launched:
            self._entries[node_type] = {**entries, kind: replace(same, reason=reason)}
            return
        is_counted = kind in _NODES and any(one in entries and not entries[one].launched for one in _NODES)
        failures = max((entry.failures for entry in entries.values()), default=0) + (not is_counted)
        longest = MAX_THROTTLED_SECONDS if isinstance(reason, Throttled) else MAX_SECONDS
        seconds = min(longest, FIRST_SECONDS * 2 ** min(failures - 1, 10))
        self._entries[node_type] = {**entries, kind: _Entry(failures, self._monotonic() + seconds, reason)}

    def accepted(self, node_type: str) -> None:
        """Record a launch that the platform accepted: that ends a row of failed requests, but not of failed nodes."""
        nodes = {kind: replace(entry, launched=True) for kind, entry in self._of(node_type).items() if kind in _NODES}
        self._entries[node_type] = nodes

    def joined(self, node_type: str) -> None:
        """Record a node of this type that has joined: delete every failure but those of nodes that joined too."""
        self._keep(node_type, lambda kind, _: kind is _Kind.AFTER_JOIN)

    def lasted(self, node_type: str) -> None:
        """Record a node of this type that still ran long after it joined: delete failures of nodes that joined too.

        It may be older than nodes that failed before they joined.
        """
        self._keep(node_type, lambda kind, _: kind is not _Kind.AFTER_JOIN)

    def outage_ended(self) -> None:
        """Delete the failures that an outage of the platform explains."""
        for node_type in list(self._entries):
            self._keep(node_type, lambda _, entry: not isinstance(entry.reason, _OUTAGE))

    def reconfigured(self) -> None:
        """Delete every failure: the configuration has changed, and may have removed the cause."""
        self._entries.clear()

    def _of(self, node_type: str) -> dict[_Kind, _Entry]:
        return self._entries.get(node_type, {})

    def _keep(self, node_type: str, applies: Callable[[_Kind, _Entry], bool]) -> None:
        self._entries[node_type] = {kind: entry for kind, entry in self._of(node_type).items() if applies(kind, entry)}


def _kind_of(reason: RayDogError) -> _Kind:
    if isinstance(reason, EndedAfterJoin):
        return _Kind.AFTER_JOIN
    return _Kind.BEFORE_JOIN if isinstance(reason, NodeBuildError) else _Kind.REQUEST
