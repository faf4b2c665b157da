"""`userdata` and `extra_userdata` as one text that cloud-init runs. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_FORMAT = re.compile(
    r"#!|#cloud-(config|config-archive|boothook)\b|#include(-once)?\s*$|#part-handler\b|#upstart-job\b|#ps1|"
    r"## template:|content-type:|mime-version:|<(powershell|script)>",
    re.IGNORECASE,
)
"""The first line of a text that cloud-init handles (its "User-data formats"). Any other first line, such as a comment,
makes it ignore the text."""

_SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh")
_MAY_END = re.compile(r"\bexit\b|\bset\s+-\w*e|\berrexit\b")
_EXTRA = "raydog_extra_userdata"


def full_userdata(userdata: str | None, extra: str | None) -> str | None:
    """`userdata` followed by `extra`, or None where there is neither.

    A text without a first line for cloud-init gets `#!/bin/bash`. A shell script that may end early runs `extra` when
    it ends, in the same shell. `extra` then always runs, with the variables of the first script.
    """
    parts = [part.strip("\n") for part in (userdata, extra) if part and part.strip()]
    if not parts:
        return None
    first = parts[0]
    if not has_format(first):
        first = f"#!/bin/bash\n{first}"
    if len(parts) == 1:
        return f"{first}\n"
    if _is_shell_script(first) and _MAY_END.search(first):
        shebang, _, script = first.partition("\n")
        return f"{shebang}\n{_EXTRA}() {{\n:\n{parts[1]}\n}}\ntrap {_EXTRA} EXIT\n{script}\n"
    return f"{first}\n{parts[1]}\n"


def has_format(text: str) -> bool:
    """Whether the first line is one that cloud-init handles; any other text runs in bash."""
    return _FORMAT.match(text.split("\n", 1)[0]) is not None


def first_programs(text: str) -> list[str]:
    """The names in a first line such as `#!/usr/bin/env bash`, without options; empty without such a line."""
    words = text.split("\n", 1)[0].removeprefix("#!").split() if text.startswith("#!") else []
    return [PurePosixPath(word).name for word in words if not word.startswith("-")]


def _is_shell_script(text: str) -> bool:
    """Whether the first line names a shell: `#!/bin/sh -e`, `#!/usr/bin/env bash`."""
    programs = first_programs(text)
    return bool(programs) and (programs[0] in _SHELLS or (programs[0] == "env" and programs[-1] in _SHELLS))
