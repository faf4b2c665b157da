"""Failures that leave open whether a call was applied, and some that only seem to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.simulation.wire import Wire


@dataclass(frozen=True)
class Ambiguity:
    """One way in which a creating call may fail, once.

    Attributes:
        name: for people.
        kind: the kind of the trouble on the wire.
    """

    name: str
    kind: str

    def __str__(self) -> str:
        return self.name

    @contextmanager
    def striking(self, wire: Wire, call: str) -> Iterator[None]:
        """Let the next call of this pattern fail so; it must come in the block."""
        with wire.trouble(self.kind, call, times=1) as trouble:
            yield
        assert trouble.struck == 1, f"{call} was never struck"


AMBIGUITIES = (
    Ambiguity("applied, then 500", "500, applied"),
    Ambiguity("refused with 500", "500"),
    Ambiguity("throttled", "429, retry after 3"),
    Ambiguity("no answer", "hang"),
    Ambiguity("no answer, but applied", "hang, applied"),
    Ambiguity("cut off", "cut"),
    Ambiguity("nonsense for an answer", "a web page, applied"),
)
