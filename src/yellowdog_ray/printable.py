"""Texts of others as one line of a message or a log: they may contain line breaks or terminal codes. No I/O; a leaf."""

from __future__ import annotations


def one_line(text: str) -> str:
    r"""A text with an escape such as `\n` for each character that is not printable."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def lines(text: str) -> str:
    """As `one_line`, for a text whose line breaks are its own."""
    return "\n".join(map(one_line, text.split("\n")))


def _escaped(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
