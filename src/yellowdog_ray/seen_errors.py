"""Recognises errors that were reported before, so that a log shows each with its traceback once. Logs nothing."""

from __future__ import annotations

MAX_ERRORS = 100
"""Distinct errors per process part. Beyond that none is new: a log must not fill."""


class DistinctErrors:
    """The errors that were reported, by their type and the line that raised them."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, int]] = set()

    def is_new(self, error: BaseException) -> bool:
        """Whether no error of this type was reported from this line before; it counts as reported from now on."""
        origin = _origin(error)
        if origin in self._seen or len(self._seen) >= MAX_ERRORS:
            return False
        self._seen.add(origin)
        return True


def _origin(error: BaseException) -> tuple[str, str, int]:
    frame = error.__traceback__
    if frame is None:
        return type(error).__name__, "", 0
    while frame.tb_next is not None:
        frame = frame.tb_next
    return type(error).__name__, frame.tb_frame.f_code.co_filename, frame.tb_lineno
