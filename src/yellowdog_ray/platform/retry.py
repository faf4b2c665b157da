"""How long a platform call is tried before its failure counts. Knows nothing of what is called.

The SDK's own retries are off: they obey any `Retry-After`, and inside the autoscaler's loop nothing may wait.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from yellowdog_ray.errors import Throttled, Unavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True)
class Patience:
    """Tries again while the platform does not answer or throttles.

    Attributes:
        seconds: for how long at most; 0 tries once.
        sleep: waits so many seconds.
        monotonic: seconds that never go back.
    """

    seconds: float = 0.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def persist(self, action: Callable[[], T]) -> T:
        """Carry an action out, again if need be. It must be one that may be repeated."""
        began, pause = self.monotonic(), _FIRST_PAUSE
        while True:
            try:
                return action()
            except (Unavailable, Throttled) as error:
                if self.monotonic() - began + pause > self.seconds:
                    raise
                logger.warning("trying again in %.1f s: %s", pause, error)
            self.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def patiently(method: Callable[P, T]) -> Callable[P, T]:
    """Let a method of an object that has patience be tried as often as that allows."""

    @functools.wraps(method)
    def persist(*arguments: P.args, **options: P.kwargs) -> T:
        owner: Any = arguments[0]
        result: T = owner.patience.persist(lambda: method(*arguments, **options))
        return result

    return persist
