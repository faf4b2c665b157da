"""The syntax of shell scripts, as the shells of this machine read it. Runs no script."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable

from yellowdog_ray.config.mistakes import shown

_SECONDS = 5.0
_OLDEST_MAJOR = 4
"""bash 3 (macOS) refuses words of later versions."""

_BASH_MISTAKE = re.compile(r"line (\d+): (.*syntax error.*|unexpected EOF.*)")
_DASH_MISTAKE = re.compile(r"dash: (\d+): (Syntax error: .*)")
_EXIT = r"(?:exit(?:\s+(?:\d+|\$\w+|\$\?|\"\$\?\"))?|exec\s+(?![\d{<>&])[^;&|#'\"]+)"
_END_OF_SCRIPT = re.compile(
    rf"(?:exit\b|['\"]*exec['\"]*\s+(?![\d{{<>&])\S)|[^#{{()]*;\s*{_EXIT}\s*$|\{{.*;\s*{_EXIT}\s*;\s*\}}\s*$"
)
"""A line after which a script ends, whatever it has done: such a command begins it, or is its last one.

Within a block it ends nothing, but the lines up to it are then no whole script.
"""

_PLACEHOLDER = re.compile(r"<[a-z][a-z /_-]*>")
_YOURS = re.compile(r"<your\b[^<>\n]*>")

_Find = Callable[[str], "re.Match[str] | None"]


def syntax_mistake(script: str) -> str | None:
    """The line that bash cannot read, with its message; None also where bash is missing or old."""
    found = _mistake(script, _bash_mistake)
    if found is None or _is_old():
        return None
    line = script.split("\n")[int(found[1]) - 1 :][:1]
    if placeholder := _PLACEHOLDER.search("\n".join(line)) or _YOURS.search(script):
        named = shown(placeholder[0])
        return f"it contains {named}, a placeholder, which RayDog does not replace: write what it stands for"
    return f"bash cannot read line {found[1]} ({found[2]}): correct the script"


def dash_mistake(script: str) -> str | None:
    """The line that dash, the `sh` of Debian and Ubuntu, cannot read, with its message; None where dash is missing."""
    found = _mistake(script, _dash_mistake)
    return f"line {found[1]} ({found[2]})" if found else None


def _mistake(script: str, find: _Find) -> re.Match[str] | None:
    found = find(script)
    return None if found is None or _ends_before(script, int(found[1]), find) else found


def _bash_mistake(script: str) -> re.Match[str] | None:
    # A script may enable extended patterns (`shopt -s extglob`), which bash reads only if they are enabled already.
    return _BASH_MISTAKE.search(_errors_of(["bash", "-O", "extglob", "-n", "/dev/stdin"], script))


def _dash_mistake(script: str) -> re.Match[str] | None:
    return _DASH_MISTAKE.search(_errors_of(["dash", "-n"], script))


def _ends_before(script: str, line: int, find: _Find) -> bool:
    """Whether a script ends before a line: what follows, such as an archive, need not be for a shell."""
    lines = script.split("\n")
    ends = [number for number, text in enumerate(lines[: line - 1], 1) if _END_OF_SCRIPT.match(text)]
    return any(find("\n".join([*lines[:end], ""])) is None for end in {*ends[:1], *ends[-1:]})


def _is_old() -> bool:
    version = _errors_of(["bash", "-c", "echo $BASH_VERSINFO >&2"], "").strip()
    return version.isdecimal() and int(version) < _OLDEST_MAJOR


def _errors_of(command: list[str], script: str) -> str:
    """The errors that a shell prints, in English; empty where it cannot be run."""
    environment = {name: value for name, value in os.environ.items() if name not in ("BASH_ENV", "ENV")}
    try:
        done = subprocess.run(
            command,
            input=script.encode(errors="replace"),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env={**environment, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stderr.decode(errors="replace")
