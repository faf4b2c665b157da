"""First lines of scripts that Linux cannot run, or that hold the whole text because YAML joined its lines. No I/O."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.config.userdata import SHELLS, stripped

_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"
_WRITE_LINES = "write `|` after the key, instead of `>` or quotes, and each line of the script below it"
_JOINED = f"YAML has joined the lines of the text: {_WRITE_LINES}"
_COMMANDS = ("bash", "dash", "python", "python3", "perl")
_JOINED_CONFIG = re.compile(r"#cloud-config(?:-archive)?\s+[\w-]+:(?:\s|$)|## template:\s*jinja\s+#")
_AFTER_A_NAME = ";,:.\"'`"


def first_line_that_cannot_run(text: str, *, is_userdata: bool) -> str | None:
    """Why nothing runs a text, because of its first line, with the remedy.

    Linux obeys the first line of user data. bash runs a task script whatever its first line is.
    """
    begin = text.lstrip()
    if begin.startswith(tuple(_INVISIBLE)):
        code = f"U+{ord(begin[0]):04X}"
        return f"it begins with an invisible character ({code}), so its first line has no effect: remove the character"
    line, _, rest = stripped(text).partition("\n")
    is_whole = not rest.strip()
    if is_whole and _JOINED_CONFIG.match(line):
        return f"its only line is {shown(line)}: {_JOINED}"
    if line.startswith("#!"):
        return _mistake_of_program(line, is_whole=is_whole, is_userdata=is_userdata)
    if is_userdata and line.lower().startswith(("#ps1", "<powershell>", "<script>")):
        return f"{shown(line)} begins a script for Windows, and RayDog's nodes run Linux: write a script for bash"
    return None


def _mistake_of_program(line: str, *, is_whole: bool, is_userdata: bool) -> str | None:
    """The mistake of a first line that begins with `#!`; None without one."""
    program, *words = re.split(r"[ \t]+", line.removeprefix("#!").strip(" \t"))
    name = PurePosixPath(program).name
    if is_whole and any(not word.startswith("-") for word in _arguments(name, words)):
        return f"its only line is {shown(line)}: {_JOINED}"
    if not is_userdata:
        return None
    if not program:
        return "its first line names no program after `#!`: write a line such as `#!/bin/bash`"
    return _mistake_of_name(line, program, words) or _mistake_of_words(line, name, words)


def _arguments(name: str, words: list[str]) -> list[str]:
    """The words after a program, without those that name what it runs."""
    if name == "env" and words[:1] and words[0].startswith("-"):
        return []
    return words[1:] if name in ("env", "busybox") else words


def _mistake_of_name(line: str, program: str, words: list[str]) -> str | None:
    odd = next((character for character in line if not character.isascii() and not character.isprintable()), None)
    if odd:
        return f"its first line contains the character U+{ord(odd):04X}, which looks like a space: remove it"
    named = words[0] if PurePosixPath(program).name == "env" and words else program
    name = PurePosixPath(named).name
    meant = name.rstrip(_AFTER_A_NAME)
    if meant == name:
        meant = next((command for command in _COMMANDS if _is_misspelt(name, command)), name)
    if meant == name:
        return None
    return f"{shown(line)} names the program `{name}`: did you mean `{meant}`?"


def _is_misspelt(name: str, command: str) -> bool:
    """Whether two letters are exchanged, or one is doubled."""
    is_exchanged = name != command and sorted(name) == sorted(command) and name[0] == command[0]
    return is_exchanged or any(name == command[:place] + command[place - 1 :] for place in range(1, len(command) + 1))


def _mistake_of_words(line: str, name: str, words: list[str]) -> str | None:
    """Words that Linux passes to the program as one, with which it does not run."""
    if name == "env" and not words:
        return f"{shown(line)} names no program for `env`: write a line such as `#!/usr/bin/env bash`"
    if name == "env" and len(words) > 1 and not words[0].startswith("-"):
        return f"{shown(line)} names a program of this whole text, spaces included: write `#!/usr/bin/env -S` before it"
    if name in SHELLS and (len(words) > 1 or (words[:1] and words[0][0] not in "-+")):
        return (
            f"{shown(line)} gives `{name}` all these words as one, with which it does not run. Write one word of "
            "options, such as `-eu`, and commands such as `set -o pipefail` on lines below. If YAML has joined the "
            f"next lines to it, {_WRITE_LINES}"
        )
    return None
