"""`userdata` and `extra_userdata` as one text that cloud-init runs. No I/O, no state."""

from __future__ import annotations

import hashlib
import re
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from pathlib import PurePosixPath

from yellowdog_ray.config.cloud_config import cloud_config_mistake, is_without_first_line
from yellowdog_ray.config.mistakes import shown

_FORMAT = re.compile(
    r"#!|#cloud-(config|config-archive|boothook)\b|#include(-once)?(?:\s*$|\s+\S+://)|#part-handler\b|#upstart-job\b|#ps1|"
    r"## template:|content-type:|mime-version:|<(powershell|script)>",
    re.IGNORECASE,
)
"""The first line of a text that cloud-init handles (its "User-data formats"). Any other first line, such as a comment,
makes it ignore the text."""

_EMPTY_LINES = re.compile(r"\A(?:[ \t\r]*\n)+")
_BASH = "#!/bin/bash"
SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh")
_TRAP = re.compile(r"\btrap\b")
_END = re.compile(r"""[\s"'](?:EXIT|exit|0)\b""")
_OTHER_PROGRAM = re.compile(
    r"^(?![ \t]*#)(?:.*(?:[;&|({]|\b(?:then|do|else)\b))?[ \t]*exec[ \t]+(?![\d{<>&])\S", re.MULTILINE
)
"""A command `exec` with a program; `find -exec`, `docker exec` and redirections are none."""

_JOINED = """\
{shebang}
raydog_extra_userdata() (
eval "$(cat <&9)" 9<&-
) 9<<'{end}'
{extra}
{end}
raydog_end() {{
  raydog_status=$?
  [ -z "${{raydog_ended:-}}" ] || return "$raydog_status"
  raydog_ended=1
  raydog_extra_userdata
  raydog_extra_status=$?
  [ "$raydog_status" -ne 0 ] || raydog_status=$raydog_extra_status
  exit "$raydog_status"
}}
trap raydog_end EXIT
{script}

raydog_end
"""
"""Two texts for one shell. The extra text runs once: at the end, or before that at an exit, unless the script has set a
trap of its own. It runs in a subshell, in which it may exit and set traps. The first failure is the exit code.

The shell parses the extra text when it runs, with the options that the script has set by then.
The empty line ends a last line that ends with a backslash.
"""
_TYPES = {
    "#!": "x-shellscript",
    "#cloud-config-archive": "cloud-config-archive",
    "#cloud-config-jsonp": "cloud-config-jsonp",
    "#cloud-config": "cloud-config",
    "#cloud-boothook": "cloud-boothook",
    "#include-once": "x-include-once-url",
    "#include": "x-include-url",
    "#part-handler": "part-handler",
    "## template:": "jinja2",
}
"""The subtype of `text/` by a part's first line (cloud-init's `INCLUSION_TYPES_MAP`)."""

_RELATIVE_PROGRAM = re.compile(r"#!\s*[^/\s]")
_INCLUDE = re.compile(r"#include(-once)?", re.IGNORECASE)
_UNMANGLED = compat32.clone(mangle_from_=False)
_DIGEST_CHARACTERS = 32


def full_userdata(userdata: str | None, extra: str | None) -> str | None:
    """`userdata` followed by `extra`, or None where there is neither.

    A text without a first line for cloud-init gets `#!/bin/bash`. A shell runs `extra` when the first script ends,
    with its variables. An `extra` of another format, or for another shell, becomes a part of its own. An `extra`
    without a first line continues a text that is no shell script.
    """
    parts = [stripped(part) for part in (userdata, extra) if part and part.strip()]
    if not parts:
        return None
    first = parts[0]
    if not has_format(first):
        first = f"{_BASH}\n{first}"
    if len(parts) == 1:
        return f"{first}\n"
    second = parts[1]
    if has_format(second) and not _runs(first, second):
        return _as_parts(first, second)
    if not is_shell_script(first):
        return f"{first}\n{second}\n"
    shebang, _, script = first.partition("\n")
    return _JOINED.format(shebang=shebang, extra=second, script=script, end=f"RAYDOG_{_digest(second)}")


def stripped(text: str) -> str:
    """A text without empty lines at its beginning and its end."""
    return _EMPTY_LINES.sub("", text).strip("\n")


def _runs(first: str, second: str) -> bool:
    """Whether the shell of one script runs the other too: the same shell, or bash for a script of `sh`."""
    if not is_shell_script(first) or not is_shell_script(second):
        return False
    shells = first_programs(first)[-1], first_programs(second)[-1]
    return shells[0] == shells[1] or shells in (("bash", "sh"), ("bash", "dash"))


def _digest(*texts: str) -> str:
    """A word that is in none of the texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:_DIGEST_CHARACTERS]


def _as_parts(*texts: str) -> str:
    """The texts as one of several parts, which cloud-init handles one after another."""
    whole = MIMEMultipart(boundary=_digest(*texts), policy=_UNMANGLED)
    for text in texts:
        charset = "us-ascii" if text.isascii() else "utf-8"
        whole.attach(MIMEText(f"{text}\n", subtype(text), charset, policy=_UNMANGLED))
    return whole.as_string()


def subtype(text: str) -> str:
    """The MIME subtype, after `text/`, of a text that begins with a line for cloud-init."""
    return next((kind for start, kind in _TYPES.items() if text.lower().startswith(start)), "plain")


def mistake_together(userdata: str, extra: str) -> str | None:
    """The reason why `extra` cannot follow `userdata`, with the remedy."""
    first, second = stripped(userdata), stripped(extra)
    for text in (first, second):
        if has_format(text) and subtype(text) == "plain":
            line = shown(text.split("\n", 1)[0])
            return f"nothing can be joined to a text that begins with {line}: write one text, in `userdata`"
    if has_format(second) or not has_format(first):
        return None
    advice = f"begin extra_userdata with a line for cloud-init, such as `#!/bin/bash`: userdata is {subtype(first)}"
    is_broken = cloud_config_mistake(first) is None and cloud_config_mistake(f"{first}\n{second}") is not None
    lines = [line for line in second.splitlines() if line.strip() and not line.startswith("#")]
    is_broken |= subtype(first).startswith("x-include") and not all("://" in line for line in lines)
    return advice if is_broken else None


def first_line_mistake(text: str) -> str | None:
    """Why bash would run a text of another format, or nothing would run it, with the remedy."""
    text = stripped(text)
    if has_format(text):
        return _mistake_of_format(text)
    for line in map(str.strip, text.split("\n")):
        if has_format(line) and not _runs(_BASH, line):
            return (
                f"{shown(line)} is not the first line, without spaces before it, so bash would run the text. Move it "
                f"there, or begin a script for bash with `{_BASH}`"
            )
        if line and not line.startswith(("#", "---")):
            break
    if is_without_first_line(text):
        return "it has the form of a `#cloud-config`, and without that line bash would run it: begin it with that line"
    return None


def _mistake_of_format(text: str) -> str | None:
    first, _, rest = text.partition("\n")
    if _RELATIVE_PROGRAM.match(first):
        return f"{shown(first)} does not name a program by its absolute path: write a line such as `{_BASH}`"
    if subtype(text).startswith("x-include"):
        lines = [line.strip() for line in [_INCLUDE.sub("", first), *rest.split("\n")]]
        named = [line for line in lines if line and not line.startswith("#")]
        if wrong := [line for line in named if "://" not in line and not line.startswith("/")]:
            return f"{shown(wrong[0])} below `#include` is no address: write one such as `https://example.com/setup.sh`"
    return None


def reason_to_skip(userdata: str, extra: str = "") -> str | None:
    """The reason why `extra` may not run after `userdata`: `exec`, an own `trap`, or another program that reads it."""
    if has_format(userdata) and not is_shell_script(userdata):
        is_continued = userdata.startswith("#!") and not has_format(extra)
        return "is no shell script, and extra_userdata has no first line such as #!/bin/bash" if is_continued else None
    if any(map(_sets_trap, userdata.split("\n"))):
        return "sets a `trap` for EXIT"
    return "runs another program by `exec`" if _OTHER_PROGRAM.search(userdata) else None


def _sets_trap(line: str) -> bool:
    """Whether a line sets a `trap` for the end. One search for both would take the square of its length."""
    trap = None if line.lstrip().startswith("#") else _TRAP.search(line)
    return trap is not None and _END.search(line, trap.end()) is not None


def has_format(text: str) -> bool:
    """Whether the first line is one that cloud-init handles; any other text runs in bash."""
    return _FORMAT.match(text.split("\n", 1)[0]) is not None


def first_programs(text: str) -> list[str]:
    """The names in a first line such as `#!/usr/bin/env bash`, without options; empty without such a line."""
    words = text.split("\n", 1)[0].removeprefix("#!").split() if text.startswith("#!") else []
    return [PurePosixPath(word).name for word in words if not word.startswith("-")]


def is_shell_script(text: str) -> bool:
    """Whether the first line names a shell: `#!/bin/sh -e`, `#!/usr/bin/env bash`."""
    programs = first_programs(text)
    return bool(programs) and (programs[0] in SHELLS or (programs[0] == "env" and programs[-1] in SHELLS))
