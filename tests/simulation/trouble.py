"""Faults of calls on the simulated wire: how they fail, and which of them. Data only."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.simulation.distortions import LIST_KINDS, MOVES, SHOWS_NOTHING

DISTORTED_KINDS = frozenset({*LIST_KINDS, MOVES, SHOWS_NOTHING})
"""Kinds of trouble that change lists."""

SERVED_KINDS = frozenset(
    {"500, applied", "hang, applied", "a web page, applied", "cut", "delay", "drips", *DISTORTED_KINDS}
)
"""Kinds of trouble in which the platform serves the call."""

Rule = Callable[[str], bool]
"""Selects calls; a call is `VERB path`."""


@dataclass(eq=False)
class Trouble:
    """A fault that strikes calls while it is on the wire.

    Attributes:
        kind: how a struck call fails: "refused" (never leaves), "hang" (never answered), a status with or without
            ", retry after N", one of the garbled answers, one of `SERVED_KINDS`, or "late": the client times out,
            and the platform serves the call when `deliver` is called.
        calls: a pattern of `VERB path`, or a rule.
        probability: the share of these calls that is struck.
        times: the number of calls to strike; None for all.
        struck: the number of calls struck so far.
    """

    kind: str
    calls: str | Rule = "*"
    probability: float = 1.0
    times: int | None = None
    struck: int = 0

    @property
    def served(self) -> bool:
        """Whether the platform serves a struck call."""
        return self.kind in SERVED_KINDS

    def strikes(self, call: str, chance: random.Random) -> bool:
        """Decide whether a call is struck, and count it."""
        if self.times is not None and self.struck >= self.times:
            return False
        fits = fnmatchcase(call, self.calls) if isinstance(self.calls, str) else self.calls(call)
        strikes = fits and chance.random() < self.probability
        self.struck += strikes
        return strikes
