"""Executes many platform calls: waiting for them, or in the background. Independent of clusters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_CONCURRENT_ABORTS = 16
"""The platform has no call that aborts several tasks, so aborts run concurrently."""


class Executor(Protocol):
    """Applies an action to several things concurrently."""

    def run(self, action: Callable[[T], None], things: Iterable[T]) -> None:
        """Apply an action to each thing. The action handles its own errors."""

    def close(self) -> None:
        """Wait for all actions."""


class BackgroundExecutor:
    """Returns before the actions have run: the loop of Ray's autoscaler must not wait."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_CONCURRENT_ABORTS, thread_name_prefix="raydog-abort")

    def run(self, action: Callable[[T], None], things: Iterable[T]) -> None:
        """Start an action on each thing."""
        self._submit(action, things)

    def close(self) -> None:
        """Wait for all actions."""
        self._threads.shutdown()

    def _submit(self, action: Callable[[T], None], things: Iterable[T]) -> list[Future[None]]:
        return [self._threads.submit(_logged, action, thing) for thing in things]


class BlockingExecutor(BackgroundExecutor):
    """Returns when all actions have run: the process may be about to end."""

    def run(self, action: Callable[[T], None], things: Iterable[T]) -> None:
        """Apply an action to each thing, and wait."""
        wait(self._submit(action, things))


def _logged(action: Callable[[T], None], thing: T) -> None:
    """Run an action. An error that it does not handle would be lost with its future."""
    try:
        action(thing)
    except Exception:
        logger.exception("a bug in RayDog: an action in the background failed; please report it")
