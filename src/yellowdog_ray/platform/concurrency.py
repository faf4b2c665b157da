"""Asking the platform one thing about several, without waiting for one answer before the next question."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

QUESTIONS_AT_ONCE = 8
"""Few enough to leave the platform's other callers their share, and far fewer than the connections that are kept."""


def side_by_side(ask: Callable[[A], B], about: Iterable[A]) -> list[B]:
    """The answers, in the order of the questions.

    Raises:
        Exception: whatever the first question in that order raised that failed. What has not been asked by then is not
            asked any more.
    """
    several = list(about)
    if len(several) < 2:
        return [ask(one) for one in several]
    with ThreadPoolExecutor(min(len(several), QUESTIONS_AT_ONCE), thread_name_prefix="raydog-ask") as threads:
        return list(threads.map(ask, several))
