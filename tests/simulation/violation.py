"""How a random run ends when something that must hold does not."""

from __future__ import annotations


class Violation(BaseException):
    """An invariant does not hold. Not an `Exception`, so that no loop of Ray's or of the provider's can swallow it.

    Attributes:
        invariant: its short name.
    """

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
