"""What is to happen at which time of a simulation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True)
class Due:
    """One event.

    Attributes:
        at: when, in seconds of the simulation's clock.
        order: of two events at the same time, the lower one happens first.
        anywhere: whether it may happen while the head is in the middle of a call.
        happen: the event.
    """

    at: float
    order: int
    anywhere: bool = field(compare=False)
    happen: Callable[[], None] = field(compare=False)


class Agenda:
    """Events that are still to come."""

    def __init__(self) -> None:
        self._events: list[Due] = []
        self._orders = itertools.count()

    def add(self, at: float, happen: Callable[[], None], *, anywhere: bool = False) -> None:
        """Plan an event."""
        self._events.append(Due(at, next(self._orders), anywhere, happen))

    def next(self, end: float, *, anywhere_only: bool) -> Due | None:
        """The first event until `end`; None if there is none."""
        due = [event for event in self._events if event.at <= end and (event.anywhere or not anywhere_only)]
        return min(due, default=None)

    def remove(self, event: Due) -> None:
        """Drop an event."""
        self._events.remove(event)

    def holds(self, happen: Callable[[], None]) -> bool:
        """Whether an event of one kind is still to come."""
        return any(event.happen == happen for event in self._events)

    def keep_only(self, happen: Callable[[], None]) -> None:
        """Drop all events but those of one kind."""
        self._events = [event for event in self._events if event.happen == happen]
