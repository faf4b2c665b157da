"""Retry policy of platform calls. Independent of the call. For creations see `idempotent`.

The SDK's own retries are off: they obey any `Retry-After`, and must not block the autoscaler's loop.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from yellowdog_ray.errors import MalformedResponse, Throttled, Unavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_FIRST_DELAY_SECONDS = 0.5
_MAX_DELAY_SECONDS = 5.0


@dataclass(frozen=True)
class RetryPolicy:
    """Repeats a call that fails with `Unavailable` or `Throttled`; the delay doubles up to 5 s.

    JSON of another shape, such as an unknown status, does not change by itself: that call is repeated once.

    Attributes:
        seconds: total time, after which the failure is raised; 0 means one attempt.
        sleep: waits this many seconds.
        monotonic: seconds that never go back.
    """

    seconds: float = 0.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def run(self, call: Callable[[], T]) -> T:
        """Run a call that may be repeated, and return its result."""
        start, delay = self.monotonic(), _FIRST_DELAY_SECONDS
        had_other_shape = False
        while True:
            try:
                return call()
            except (Unavailable, Throttled) as error:
                has_other_shape = isinstance(error, MalformedResponse) and not error.may_heal
                if has_other_shape and had_other_shape:
                    raise
                if self.monotonic() - start + delay > self.seconds:
                    raise
                had_other_shape = has_other_shape
                logger.warning("retry in %.1f s: %s", delay, error)
            self.sleep(delay)
            delay = min(2 * delay, _MAX_DELAY_SECONDS)


def retried(method: Callable[P, T]) -> Callable[P, T]:
    """Run a method under the `retry_policy` of its object."""

    @functools.wraps(method)
    def run(*arguments: P.args, **options: P.kwargs) -> T:
        owner: Any = arguments[0]
        result: T = owner.retry_policy.run(lambda: method(*arguments, **options))
        return result

    return run
