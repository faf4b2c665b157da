"""The values that a shell script assigns to a variable, as far as the script alone determines them. No I/O."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass

_PIECE = re.compile(r"\\.|\$'(?:\\.|[^'\\])*'|'[^']*'|[^\s;&|()<>\"'\\$`}]+|.", re.DOTALL)
_PIECE_IN_QUOTES = re.compile(r"\\.|[^\"\\$`}]+|.", re.DOTALL)
_ENDS = frozenset(" \t\r\n;&|()<>")
_ESCAPED_IN_QUOTES = frozenset('"$`\\')
_ANSI = {r"\n": "\n", r"\t": "\t", r"\\": "\\", r"\'": "'", r"\"": '"'}
_BLOCK = re.compile(r"^(?:if|elif|else|case|for|while|until|function|[\w-]+[ \t]*\(\))(?![\w=])", re.MULTILINE)
_HEREDOC = re.compile(r"<<-?[ \t]*[\"']?([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Assignment:
    """One assignment to a variable.

    Attributes:
        start: its place in the script.
        end: the place after the value.
        value: the value; None if the shell computes it.
        is_default: whether the value holds only if the variable has none, as in `${NAME:-value}`.
        is_certain: whether it stands at the beginning of a line, and in no branch, function or heredoc.
        is_spaced: whether there are spaces beside `=`, with which the shell assigns nothing.
    """

    start: int
    end: int
    value: str | None
    is_default: bool
    is_certain: bool
    is_spaced: bool


def assignments(script: str, name: str) -> Iterator[Assignment]:
    """Every assignment to a variable in a script without comments, in the order of the text."""
    begin = _beginning(name)
    default = re.compile(rf"\$\{{{name}:?[-=]")
    documents = list(_documents(script))
    starts = [start for start, _ in documents]
    position = 0
    while found := begin.search(script, position):
        value, is_default, end = _word(script, found.end(), default)
        nearest = bisect(starts, found.start()) - 1
        is_inside = nearest >= 0 and found.start() < documents[nearest][1]
        yield Assignment(
            start=found.start(),
            end=end,
            value=value,
            is_default=is_default,
            is_certain=found["before"] == "" and not is_inside and not _BLOCK.search(script, position, found.start()),
            is_spaced=(found["sign"] or "=") != "=",
        )
        position = max(end, found.end())


def _beginning(name: str) -> re.Pattern[str]:
    """The text before a value. Spaces beside `=` count only where a value follows that could be meant."""
    export = r"(?:(?:export|readonly|local|declare|typeset)[ \t]+(?:-\w+[ \t]+)?)?"
    sign = r"(?P<sign>[ \t]+=[ \t]*(?=[\"'$])|=[ \t]+(?=[\"'](?:ssh|ecdsa|sk)-)|=)"
    return re.compile(
        rf"(?P<before>^[ \t]*|[;&|({{][ \t]*|\b(?:then|do|else)[ \t]+)"
        rf"(?:{export}{name}{sign}|:[ \t]+(?=\"?\$\{{{name}:?=))",
        re.MULTILINE,
    )


def _documents(script: str) -> Iterator[tuple[int, int]]:
    """The beginning and the end of each heredoc."""
    position = 0
    while found := _HEREDOC.search(script, position):
        end = re.compile(rf"^[ \t]*{found[1]}$", re.MULTILINE).search(script, found.end())
        position = end.end() if end else len(script)
        yield found.end(), position


def _word(script: str, start: int, default: re.Pattern[str]) -> tuple[str | None, bool, int]:
    """The value of the word at a place, whether it is the default of the variable, and the place after it."""
    parts: list[str] = []
    is_computed = in_quotes = in_default = is_default = False
    position = start
    while found := (_PIECE_IN_QUOTES if in_quotes else _PIECE).match(script, position):
        piece = found[0]
        if not in_default and not parts and (begin := default.match(script, position)):
            in_default = is_default = True
            position = begin.end()
            continue
        if not in_quotes and not in_default and piece in _ENDS:
            break
        position = found.end()
        if piece == '"':
            in_quotes = not in_quotes
        elif piece == "}" and in_default:
            in_default = False
        elif piece in ("$", "`"):
            is_computed = True
        else:
            parts.append(_resolved(piece, in_quotes=in_quotes))
    return None if is_computed else "".join(parts).strip(), is_default, position


def _resolved(piece: str, *, in_quotes: bool) -> str:
    if piece.startswith("\\") and len(piece) > 1:
        if piece[1] == "\n":
            return ""
        return piece if in_quotes and piece[1] not in _ESCAPED_IN_QUOTES else piece[1]
    if in_quotes or len(piece) == 1:
        return piece
    if piece.startswith("$'"):
        return re.sub(r"\\.", lambda found: _ANSI.get(found[0], found[0]), piece[2:-1])
    return piece[1:-1] if piece.startswith("'") else piece
