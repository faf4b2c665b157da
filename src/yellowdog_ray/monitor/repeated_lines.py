"""Drops lines that Ray's autoscaler logs at every tick without news. Runs on the head only."""

from __future__ import annotations

import logging

LOGGERS = ("ray.autoscaler._private.util", "ray.autoscaler.v2.instance_manager.config")
"""Ray reads the head's configuration file at every tick, and these modules log each reading (Ray 2.50 to 2.60)."""

REPEATED = (
    "Dropping the empty legacy field",
    "setting max workers for",
    "Calculating hashes for file mounts",
)
"""How those lines begin. The two legacy fields are Ray's own default for every external provider."""


def drop_repeated_lines() -> None:
    """Log each of these lines once per process. A second call has no effect."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _Once) for each in logger.filters):
            logger.addFilter(_Once())


class _Once(logging.Filter):
    """Passes each of the repeated lines once, and every other record."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log a record."""
        line = str(record.msg)
        if not line.startswith(REPEATED):
            return True
        if line in self._seen:
            return False
        self._seen.add(line)
        return True
