"""Runs the head's duties besides listing, at every tick. A duty that fails never fails the tick."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.errors import RayDogError, Unavailable
from yellowdog_ray.monitor.outage import UnexpectedErrors

logger = logging.getLogger(__name__)

Duty = Callable[[Snapshot], None]
"""An action on each fresh listing. It may raise `RayDogError`, and is then retried at the next tick."""


class Supervisor:
    """Runs duties in their order.

    Args:
        duties: the duties, the most urgent first.
        after_each: runs after each duty, which may have blocked the loop.
    """

    def __init__(self, duties: Sequence[Duty], after_each: Callable[[], None] = lambda: None) -> None:
        self._duties = tuple(duties)
        self._after_each = after_each
        self._unexpected = UnexpectedErrors()

    def tick(self, snapshot: Snapshot) -> None:
        """Run every duty once, but none after one that found the platform unavailable.

        Each further one would block the loop for the same time. The next tick begins after that one: the platform may
        be unavailable to it alone, for example if one answer is broken.
        """
        for index, duty in enumerate(self._duties, 1):
            completed = self._completed(duty, snapshot)
            self._after_each()
            if not completed:
                self._duties = (*self._duties[index:], *self._duties[:index])
                return

    def _completed(self, duty: Duty, snapshot: Snapshot) -> bool:
        """Run one duty. Returns False if the platform was unavailable."""
        try:
            duty(snapshot)
        except RayDogError as error:
            logger.warning("will be retried at the next tick: %s", error)
            return not isinstance(error, Unavailable)
        except Exception as error:  # noqa: BLE001 - a mistake in one duty must not stop the loop, or the other duties
            self._unexpected.report(error)
        return True
