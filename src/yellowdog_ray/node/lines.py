"""Puts lines in front of a task script. Text only."""

from __future__ import annotations


def with_lines(script: str, lines: str) -> str:
    """A script with these lines in front, below its interpreter's line."""
    first, _, rest = script.partition("\n")
    if first.startswith("#!"):
        return f"{first}\n{lines}\n{rest}"
    return f"{lines}\n{script}"
