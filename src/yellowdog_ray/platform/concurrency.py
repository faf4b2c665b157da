"""Run platform calls concurrently; results keep input order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

MAX_CONCURRENT_CALLS = 8
"""Low enough to leave the platform's other clients their share, and below the SDK session's connections."""


def run_concurrently(call: Callable[[A], B], arguments: Iterable[A]) -> list[B]:
    """Run a call for each argument, at most `MAX_CONCURRENT_CALLS` at a time. Results keep the arguments' order.

    Raises:
        Exception: the failure of the first argument that failed, in that order. Calls not yet started are dropped.
    """
    several = list(arguments)
    if len(several) < 2:
        return [call(one) for one in several]
    with ThreadPoolExecutor(min(len(several), MAX_CONCURRENT_CALLS), thread_name_prefix="raydog-call") as threads:
        return list(threads.map(call, several))
