"""Restores the request of `request_resources` to autoscaler v2 when the control store dies.

The control store has the request in its memory only, and Ray would end the idle workers that a user holds so.
Autoscaler v1 keeps the request in the storage.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from yellowdog_ray.errors import RayDogError
from yellowdog_ray.monitor.gcs import Bundle, RayNodes
from yellowdog_ray.node.scripts import REQUESTED_FILE
from yellowdog_ray.private_file import write_private

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
"""How often the control store is read while nothing is requested; otherwise at each tick."""

MAX_ATTEMPTS = 5
"""Ticks that may be skipped because the control store does not take the request."""


class RequestedResources:
    """Keeps what is requested, also for the next process of the autoscaler.

    Args:
        ray_nodes: Ray's control store.
        monotonic: seconds that never go back.
        file: where it is kept; a head without this file's directory ends with its control store.
    """

    def __init__(self, ray_nodes: RayNodes, monotonic: Callable[[], float], file: Path | None = None) -> None:
        self._ray_nodes = ray_nodes
        self._monotonic = monotonic
        self._file = file or Path(f"~/{REQUESTED_FILE}").expanduser()
        self._due = monotonic() + INTERVAL_SECONDS
        self._bundles = _read(self._file)
        self._attempts = 0

    def tick(self) -> None:
        """Restore what the control store has lost.

        Raises:
            RayDogError: Ray has read the state of a new control store already, and must not decide by it.
        """
        now = self._monotonic()
        if not self._bundles and now < self._due:
            return
        self._due = now + INTERVAL_SECONDS
        requested = self._ray_nodes.requested_resources()
        if requested is None:
            return
        is_known, bundles = requested
        if is_known or not self._bundles:
            self._keep(bundles)
        elif self._attempts == MAX_ATTEMPTS:
            logger.error("Ray's control store has lost the resources of request_resources(): call it again")
            self._keep([])
        else:
            self._attempts += 1
            self._ray_nodes.request_resources(self._bundles)
            raise RayDogError(
                "Ray's control store has restarted and lost the resources of request_resources(): RayDog requests them "
                "again, and Ray decides at the next tick"
            )

    def _keep(self, bundles: Sequence[Bundle]) -> None:
        self._attempts = 0
        if bundles == self._bundles:
            return
        self._bundles = list(bundles)
        if self._file.parent.is_dir():
            with suppress(OSError):  # a full disk: the next process starts without it
                write_private(self._file, json.dumps(self._bundles).encode())


def _read(file: Path) -> list[Bundle]:
    try:
        found = json.loads(file.read_bytes())
        return [(dict(resources), dict(selector), int(count)) for resources, selector, count in found]
    except (OSError, ValueError, TypeError):
        return []
