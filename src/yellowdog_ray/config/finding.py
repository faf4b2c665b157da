"""A mistake or a warning at its place in a YAML file. A leaf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One mistake, or one warning.

    Attributes:
        line: of the YAML file, from 1.
        column: from 1.
        text: what is wrong and what to do.
        is_warning: whether `ray up` would only warn.
    """

    line: int
    column: int
    text: str
    is_warning: bool = False

    @classmethod
    def at(cls, mark: Any, text: str) -> Finding:
        """A mistake at a mark of PyYAML, which counts from 0."""
        return cls(mark.line + 1, mark.column + 1, text)
