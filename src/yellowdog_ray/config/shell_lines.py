"""The lines of a shell script without comments, and without the texts that it only prints. No I/O; time grows linearly.

A script may have a megabyte in one line. So no expression here searches from the same place twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"\\.|\"(?:\\.|[^\"\\])*\"|'[^']*'|[;&|(){}<>]|[^\\\"';&|(){}<>]+|.")
_BEGINNINGS = (";", "&", "|", "(", "{")
_ENDS = (";", "&", "|", ">")
_PRINTS = re.compile(r"\s*(?:echo|printf)(?!\w)")
_TAKES_TEXT = re.compile(r"(?:\s-\w*c|\beval|<<<|=)\s*$")
"""The characters directly before a text that a command runs or assigns."""
_USES_TEXT = re.compile(r"\b(?:install|add|ssh|echo|printf)\b")
"""A command that may install or run every text after it."""
_LONGEST_OPTION = 40


def lines_without_comments(script: str) -> list[str]:
    """A script's lines without those that are comments."""
    return [line for line in script.splitlines() if not line.lstrip().startswith("#")]


def lines_without_messages(text: str) -> str:
    """A script without comments and without what it prints; each command on one line."""
    return "\n".join(map(_without_messages, lines_without_comments(text.replace("\\\n", " "))))


def _without_messages(line: str) -> str:
    """A line of a script without what it prints: a quoted sentence, unless a command runs or installs it."""
    return "".join(_without_sentences(_without_printing(_TOKEN.findall(line))))


def _without_printing(parts: list[str]) -> Iterator[str]:
    """The parts of a line without the commands that print, unless they print into a file."""
    command: list[str] = []
    begins = True
    for index, part in enumerate(parts):
        if (command and part not in _ENDS) or (begins and _PRINTS.match(part)):
            command.append(part)
        else:
            is_kept = part == ">" and not _is_duplicate(parts, index)
            yield from command if is_kept else ()
            command = []
            yield part
        begins = part in _BEGINNINGS


def _is_duplicate(parts: list[str], index: int) -> bool:
    """Whether `>` at this index is followed by `&`, as in `>&2`."""
    return next((part for part in parts[index + 1 : index + 3] if part.strip()), "") == "&"


def _without_sentences(parts: Iterator[str]) -> Iterator[str]:
    """The parts of a line, with `""` for each quoted sentence that no command runs, installs or assigns."""
    is_used = False
    before = ""
    for part in parts:
        is_sentence = part[0] in "\"'" and any(map(str.isspace, part))
        yield '""' if is_sentence and not is_used and not _TAKES_TEXT.search(before) else part
        is_used = is_used or _USES_TEXT.search(part) is not None
        before = f"{before}{part[-_LONGEST_OPTION:]}"[-_LONGEST_OPTION:]
