"""Logs and counts the restarts of the head's processes, which the supervisor on the head writes to a file."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yellowdog_ray.cluster.journal import Act, Note, note_nothing
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.monitor.changed_file import ChangedFile
from yellowdog_ray.monitor.head_metrics import restart_counter
from yellowdog_ray.node.scripts import EVENTS_FILE

logger = logging.getLogger(__name__)

MAX_BYTES = 65_536
"""Bytes that are read at once: several hundred restarts."""

_NEW_SECONDS = 60.0  # older ones were logged by the monitor before this one


class HeadProcesses:
    """The restarts, each logged once; after the monitor's own restart, the recent ones.

    Args:
        now: the time in seconds since the epoch.
        file: the supervisor's file.
        count: counts a restart in Ray's metrics.
        note: receives each restart.
    """

    def __init__(
        self,
        now: float,
        file: Path | None = None,
        count: Callable[[], None] | None = None,
        note: Note = note_nothing,
    ) -> None:
        self._note = note
        self._file = file or Path(f"~/{EVENTS_FILE}").expanduser()
        self._changed = ChangedFile(self._file)
        self._logged_until = now - _NEW_SECONDS
        self._count = count or (restart_counter() if self._file.parent.is_dir() else lambda: None)

    def tick(self, _snapshot: Snapshot) -> None:
        """Log the restarts since the last tick."""
        try:
            if not self._changed.has_changed():
                return
            with self._file.open("rb") as file:
                file.seek(max(0, self._file.stat().st_size - MAX_BYTES))
                lines = file.read(MAX_BYTES).splitlines()
        except OSError:
            return  # this head has no supervisor
        for event in filter(None, map(_event, lines)):
            if event["time"] > self._logged_until:
                self._logged_until = event["time"]
                self._count()
                self._note(
                    Act.RESTARTED,
                    f"{event['kind']} of the head after {event['seconds']} s ({event['reason']}); restarts of it in "
                    f"10 min: {event['count']}",
                )
                logger.warning(
                    "%s of the head restarted after %s s (%s); restarts of it in 10 min: %s%s",
                    event["kind"],
                    event["seconds"],
                    event["reason"],
                    event["count"],
                    ". The head is too small: use a larger machine type" if "memory" in str(event["reason"]) else "",
                )


def _event(line: bytes) -> dict[str, Any] | None:
    """An event; None for a line that is cut or not the supervisor's."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    complete = isinstance(event, dict) and {"time", "kind", "seconds", "reason", "count"} <= event.keys()
    return event if complete and isinstance(event["time"], float) else None
