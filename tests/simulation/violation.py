"""The exception of a failed check."""

from __future__ import annotations


class Violation(BaseException):
    """A check failed. It is no `Exception`, so that no loop of Ray's or the provider's swallows it.

    Attributes:
        invariant: the check's name.
    """

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
