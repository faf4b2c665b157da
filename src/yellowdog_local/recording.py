"""The record of API calls: method, path, time and outcome, without bodies, keys or secrets. Imports no HTTP.

The last calls are kept individually; the counts per route are always kept.
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
    """Calls were requested that are no longer kept individually; the counts per route are complete."""


class RecordedCall(NamedTuple):
    """One call.

    Attributes:
        number: its position in the order of ending, from 1.
        time: when it ended, on the platform's clock.
        wall: when it ended, on the machine's clock (seconds since the epoch).
        method: its HTTP method.
        path: its path, without the query.
        route: the path of the route that served it, such as `/work/tasks/{id}`; `-` where there is none.
        status: the HTTP status of the answer; 0 without an answer.
        milliseconds: real time from its arrival to its answer.
        bytes_in: size of its body.
        bytes_out: size of the answer's body.
        agent: the kind of the caller: sdk, raydog, python, browser, other.
        fault: id of the fault that was applied to it, or None.
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
        """The call as JSON."""
        return {**self._asdict(), "time": self.time.isoformat(), "milliseconds": round(self.milliseconds, 3)}


@dataclass
class RouteCount:
    """The counts of one route; `p50` and `p95` are those of the calls that are kept individually.

    Attributes:
        method: the HTTP method.
        route: the path of the route.
        count: number of calls.
        failed: number of calls with a 4xx or 5xx answer, or without an answer.
        bytes_in: size of all request bodies.
        bytes_out: size of all answers.
        p50: median duration in milliseconds.
        p95: 95th percentile of the duration in milliseconds.
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
        kept: number of calls that are kept individually.
    """

    def __init__(self, clock: Clock, kept: int) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: deque[RecordedCall] = deque(maxlen=kept)
        self._counts: dict[tuple[str, str], RouteCount] = {}
        self._number = 0
        self._cleared_through = 0

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
        """Record a call that has ended."""
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
        """The current position, for a later `since`."""
        return self._number

    def since(self, mark: int = 0, *, limit: int | None = None) -> list[RecordedCall]:
        """The calls that ended after a mark, oldest first; without a mark, all.

        Args:
            mark: a value of `mark`.
            limit: maximum number of calls, the newest ones.

        Raises:
            CallsDropped: some of them are no longer kept.
        """
        with self._lock:
            new = self._number - max(mark, self._cleared_through)
            if limit is not None:
                new = min(new, limit)
            if new > len(self._calls):
                raise CallsDropped(f"only the last {len(self._calls)} of {new} calls are kept individually")
            # From the newest: most requests are for few calls of many.
            return list(islice(reversed(self._calls), max(0, new)))[::-1]

    def matching(self, call: str = "*", *, since: int = 0, status: int | None = None) -> list[RecordedCall]:
        """The calls of a pattern, such as `POST /work/taskGroups/*/tasks`, that ended after a mark.

        Args:
            call: the pattern.
            since: a value of `mark`.
            status: only calls with this HTTP status.

        Raises:
            CallsDropped: some of them are no longer kept.
        """
        wanted = pattern(call)
        return [
            recorded
            for recorded in self.since(since)
            if wanted.matches(recorded.method, recorded.path, recorded.route) and status in (None, recorded.status)
        ]

    def count(self, call: str = "*", *, since: int = 0, status: int | None = None) -> int:
        """Number of calls of a pattern that ended after a mark; see `matching`.

        Raises:
            CallsDropped: some of them are no longer kept.
        """
        return len(self.matching(call, since=since, status=status))

    def routes(self) -> list[RouteCount]:
        """The counts per method and route, the most frequent first."""
        times: dict[tuple[str, str], list[float]] = {}
        with self._lock:
            for call in self._calls:
                times.setdefault((call.method, call.route), []).append(call.milliseconds)
            counts = [RouteCount(**vars(count)) for count in self._counts.values()]
        for count in counts:
            durations = sorted(times.get((count.method, count.route), ()))
            if durations:
                count.p50 = durations[len(durations) // 2]
                count.p95 = durations[min(len(durations) - 1, len(durations) * 95 // 100)]
        return sorted(counts, key=lambda count: (-count.count, count.route, count.method))

    def clear(self) -> None:
        """Delete all calls and counts; marks stay valid."""
        with self._lock:
            self._calls.clear()
            self._counts.clear()
            self._cleared_through = self._number
