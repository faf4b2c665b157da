"""Every call of the API, as it was served: who called what, when, with which outcome. Never bodies, keys or secrets.

The last calls are kept one by one; what is counted per route is never dropped. Knows no HTTP.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from yellowdog_local.call_patterns import pattern
from yellowdog_local.state.clock import Clock

UNANSWERED = 0


class CallsDropped(LookupError):
    """You asked about calls that are no longer kept one by one; the counts per route are still whole."""


class RecordedCall(NamedTuple):
    """One call.

    Attributes:
        number: its place in the order of ending, counted from 1.
        time: when it ended, on the platform's clock.
        wall: when it ended, on the machine's clock (seconds since the epoch).
        method: its HTTP method.
        path: its path, without the query.
        route: the path of the route that served it, such as `/work/tasks/{id}`; `-` where there is none.
        status: the HTTP status of the answer, 0 where there was none.
        milliseconds: real time from its arrival to its answer.
        bytes_in: size of its body.
        bytes_out: size of the answer's body.
        agent: the kind of the caller: sdk, raydog, python, browser, other.
        fault: id of the fault that struck it, or None.
    """

    number: int
    time: datetime
    wall: float
    method: str
    path: str
    route: str
    status: int
    milliseconds: float
    bytes_in: int
    bytes_out: int
    agent: str
    fault: str | None

    def as_json(self) -> dict[str, Any]:
        """The call as JSON carries it."""
        return {**self._asdict(), "time": self.time.isoformat(), "milliseconds": round(self.milliseconds, 3)}


@dataclass
class RouteCount:
    """What is counted of one route; `p50` and `p95` are of the calls that are still kept one by one.

    Attributes:
        method: the HTTP method.
        route: the path of the route.
        count: how often it was called.
        failed: how many of these calls were answered with a 4xx or 5xx, or not at all.
        bytes_in: size of all bodies that were sent.
        bytes_out: size of all answers.
        p50: milliseconds within which half of the calls were served.
        p95: milliseconds within which 19 of 20 calls were served.
    """

    method: str
    route: str
    count: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    p50: float = 0.0
    p95: float = 0.0


class Calls:
    """The calls of one platform. May be used from any thread.

    Args:
        clock: the platform's clock.
        kept: how many calls are kept one by one.
    """

    def __init__(self, clock: Clock, kept: int) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: deque[RecordedCall] = deque(maxlen=kept)
        self._counts: dict[tuple[str, str], RouteCount] = {}
        self._number = 0
        self._forgotten = 0

    def add(
        self,
        *,
        method: str,
        path: str,
        route: str,
        status: int,
        milliseconds: float,
        bytes_in: int,
        bytes_out: int,
        agent: str,
        fault: str | None,
    ) -> None:
        """Note a call that has ended."""
        now, wall = self._clock.now(), time.time()
        with self._lock:
            self._number += 1
            self._calls.append(
                RecordedCall(
                    self._number,
                    now,
                    wall,
                    method,
                    path,
                    route,
                    status,
                    milliseconds,
                    bytes_in,
                    bytes_out,
                    agent,
                    fault,
                )
            )
            count = self._counts.get((method, route))
            if count is None:
                count = self._counts[method, route] = RouteCount(method, route)
            count.count += 1
            count.failed += status == UNANSWERED or status >= 400
            count.bytes_in += bytes_in
            count.bytes_out += bytes_out

    def mark(self) -> int:
        """Now, as a number to give to `since` later."""
        return self._number

    def since(self, mark: int = 0, *, limit: int | None = None) -> list[RecordedCall]:
        """The calls that ended after a mark, the oldest first; without one, all.

        Args:
            mark: what `mark` gave.
            limit: at most so many, the newest.

        Raises:
            CallsDropped: some of them are no longer kept.
        """
        with self._lock:
            new = self._number - max(mark, self._forgotten)
            if limit is not None:
                new = min(new, limit)
            if new > len(self._calls):
                raise CallsDropped(f"only the last {len(self._calls)} of {new} calls are kept one by one")
            # From the new end: what is asked for is mostly little of much.
            return list(islice(reversed(self._calls), max(0, new)))[::-1]

    def matching(self, call: str = "*", *, since: int = 0, status: int | None = None) -> list[RecordedCall]:
        """The calls of a pattern, such as `POST /work/taskGroups/*/tasks`, that ended after a mark.

        Args:
            call: the pattern.
            since: what `mark` gave.
            status: only those that were answered so.

        Raises:
            CallsDropped: some of them are no longer kept.
        """
        wanted = pattern(call)
        return [
            made
            for made in self.since(since)
            if wanted.matches(made.method, made.path, made.route) and status in (None, made.status)
        ]

    def count(self, call: str = "*", *, since: int = 0, status: int | None = None) -> int:
        """How many calls of a pattern ended after a mark; see `matching`.

        Raises:
            CallsDropped: some of them are no longer kept.
        """
        return len(self.matching(call, since=since, status=status))

    def routes(self) -> list[RouteCount]:
        """What was counted, per method and route, the most called first."""
        times: dict[tuple[str, str], list[float]] = {}
        with self._lock:
            for made in self._calls:
                times.setdefault((made.method, made.route), []).append(made.milliseconds)
            counts = [RouteCount(**vars(count)) for count in self._counts.values()]
        for count in counts:
            known = sorted(times.get((count.method, count.route), ()))
            if known:
                count.p50, count.p95 = known[len(known) // 2], known[min(len(known) - 1, len(known) * 95 // 100)]
        return sorted(counts, key=lambda count: (-count.count, count.route, count.method))

    def clear(self) -> None:
        """Forget every call and every count; marks stay valid."""
        with self._lock:
            self._calls.clear()
            self._counts.clear()
            self._forgotten = self._number
