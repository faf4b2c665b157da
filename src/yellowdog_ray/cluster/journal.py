"""The decisions of this process about its cluster, kept until they are published. No I/O."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Protocol

from yellowdog_ray.redaction import redact

MAX_DECISIONS = 200
"""Decisions that wait for publication at most; the oldest are dropped and counted."""

MAX_NODES = 20
"""Node ids of one decision at most."""

MAX_TEXT = 400
"""Characters of one decision's text at most."""

MERGE_SECONDS = 60.0
"""Like decisions about one node type within this time are one: Ray may terminate nodes one by one."""


class Act(Enum):
    """The kind of a decision, or of an event of the autoscaler."""

    LAUNCHED = "launched"
    JOINED = "joined"
    BACKED_OFF = "backed off"
    WITHDRAWN = "withdrawn"
    TERMINATED = "terminated"
    DRAINED = "drained"
    STARTED = "started"
    RESTARTED = "restarted"
    ANNOUNCED = "announced"


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        count: how many nodes it is about; 0 if none.
        nodes: ids of the first `MAX_NODES` of them.
        code: the category of the failure behind it, or empty.
        text: why, for a person.
    """

    time: datetime
    act: Act
    node_type: str
    count: int
    nodes: tuple[str, ...]
    code: str
    text: str


class Note(Protocol):
    """Receives a decision."""

    def __call__(
        self, act: Act, text: str, *, node_type: str = "", node_ids: Sequence[str] = (), code: str = ""
    ) -> None:
        """Keep a decision."""


def note_nothing(act: Act, text: str, *, node_type: str = "", node_ids: Sequence[str] = (), code: str = "") -> None:
    """Drop a decision: nothing is published from here."""


class Journal:
    """The decisions that are not published yet. Thread-safe.

    Args:
        now: the platform's time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._pending: deque[tuple[int, Decision]] = deque()
        self._next = 0
        self._sealed = 0  # decisions below it are being published, and no other is merged into them
        self._dropped: deque[int] = deque()

    @property
    def size(self) -> int:
        """A number that changes with every decision."""
        return self._next

    def note(self, act: Act, text: str, *, node_type: str = "", node_ids: Sequence[str] = (), code: str = "") -> None:
        """Keep a decision, as a part of the last one if both are alike."""
        short = redact(text)[:MAX_TEXT]  # in this order: a part of a secret would not be found any more
        new = Decision(self._now(), act, node_type, len(node_ids), tuple(node_ids[:MAX_NODES]), code, short)
        with self._lock:
            number, last = self._pending[-1] if self._pending else (-1, None)
            self._next += 1
            if last is not None and number >= self._sealed and _are_alike(last, new):
                self._pending.pop()
                new = _merged(last, new)
            self._pending.append((self._next - 1, new))
            if len(self._pending) > MAX_DECISIONS:
                self._dropped.append(self._pending.popleft()[0])

    def pending(self) -> tuple[int, list[Decision], int]:
        """A mark for `published`, the unpublished decisions, oldest first, and how many more were dropped."""
        with self._lock:
            self._sealed = self._next
            return self._next, [decision for _, decision in self._pending], len(self._dropped)

    def published(self, mark: int) -> None:
        """Delete the decisions that `pending` returned with this mark."""
        with self._lock:
            while self._pending and self._pending[0][0] < mark:
                self._pending.popleft()
            while self._dropped and self._dropped[0] < mark:
                self._dropped.popleft()


def _are_alike(last: Decision, new: Decision) -> bool:
    is_same = (last.act, last.node_type, last.code) == (new.act, new.node_type, new.code)
    has_nodes = bool(last.count and new.count)
    is_soon = 0 <= (new.time - last.time).total_seconds() < MERGE_SECONDS
    return is_same and is_soon and has_nodes and (bool(new.code) or last.text == new.text)


def _merged(last: Decision, new: Decision) -> Decision:
    """One decision for both, at the time of the first, with the later text."""
    return replace(new, time=last.time, count=last.count + new.count, nodes=(last.nodes + new.nodes)[:MAX_NODES])
