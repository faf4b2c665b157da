"""The time of an entity's last change, as the API returns it. Imports nothing of the platform."""

from __future__ import annotations

from datetime import datetime, timedelta

_MILLISECOND = timedelta(milliseconds=1)


class ChangeTime:
    """A time of change that differs between two reads whenever there was a change between them."""

    __slots__ = ("_changed", "_shown")

    def __init__(self) -> None:
        self._changed: datetime | None = None
        self._shown: datetime | None = None

    def mark(self, now: datetime) -> None:
        """Note a change."""
        self._changed = now

    def show(self) -> datetime | None:
        """The time to show: later than the last one shown by at least a millisecond, the resolution of the wire."""
        if self._changed is not None:
            later = self._shown is None or self._changed > self._shown
            self._shown = self._changed if later or self._shown is None else self._shown + _MILLISECOND
            self._changed = None
        return self._shown
