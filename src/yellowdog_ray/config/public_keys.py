"""Check that scripts of user data authorise the private key of `auth` on the nodes that need it. No I/O, no state."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yellowdog_ray.config.authorized_keys import fault_of, is_kind
from yellowdog_ray.config.local_files import FILE_PREFIX
from yellowdog_ray.config.mistakes import dotted
from yellowdog_ray.config.shell_lines import lines_without_comments, lines_without_messages
from yellowdog_ray.config.shell_scripts import USERDATA
from yellowdog_ray.config.shell_values import Assignment, assignments
from yellowdog_ray.config.userdata import first_programs, has_format, is_shell_script
from yellowdog_ray.printable import one_line

_VARIABLE = "SSH_PUBLIC_KEY"
"""The variable of examples/autoscaler/scripts/node-setup.sh that holds the public key."""

_READ = re.compile(rf"\$(?:{_VARIABLE}\b|\{{{_VARIABLE}\}})")
_NAMED = re.compile(rf"(?<![\w${{]){_VARIABLE}\b")
_READS_OTHER_TEXT = re.compile(
    r"(?:^|[;&|({]|\bthen|\bdo)[ \t]*(?:source|\.|eval|export[ \t]+[\"$])[ \t($\"]", re.MULTILINE
)
_FILE = re.compile(r">>?[ \t]*[\"']?([~/\w][^\s;&|\"']*)")
_VALUE_OF = re.compile(r"[ \t]*(?:(?:export|readonly)[ \t]+)?(\w+)=")
_RESOLVES_BREAKS = re.compile(r"\becho[ \t]+-\w*e|%b")
_UNUSED = re.compile(r"[ \t]+(?:#|AAAA)[^\n]*")
_LIKENESS = 0.8
_LONGEST_REST = 100
_HALF = "the public half of"


def public_key_warnings(
    config: Mapping[str, Any], written: Mapping[str, Any], public: str | None, source: str
) -> list[str]:
    """A warning for each node that needs a login, and whose user data authorises no key, or another one.

    The head needs one; workers do if Ray's updaters set them up. A value that the shell computes is not judged.

    Args:
        config: the completed YAML.
        written: the YAML with its `file:` values, which name the scripts.
        public: the public half of the private key in base64; None if unknown.
        source: the YAML's name, for messages.
    """
    path = config["auth"]["ssh_private_key"]
    warnings = []
    for name in _nodes_with_logins(config):
        if fault := _fault(_userdata(config, name), public):
            place = dotted(("available_node_types", name, "node_config", fault.key))
            warnings.append(
                f"{source}: {place}{_file(written, name, fault.key)}: {_VARIABLE} {fault.text} {one_line(path)} "
                f"(auth.ssh_private_key). Set it to the output of `ssh-keygen -y -f {one_line(shlex.quote(path))}`"
            )
    return warnings


def _nodes_with_logins(config: Mapping[str, Any]) -> list[str]:
    if not config["provider"]["disable_node_updaters"]:
        return list(config["available_node_types"])
    return [config["head_node_type"]]


def _userdata(config: Mapping[str, Any], node_type: str) -> dict[str, str]:
    """The texts of a node type's user data, by key."""
    node_config = config["available_node_types"][node_type].get("node_config") or {}
    return {key: str(node_config[key]) for key in USERDATA if node_config.get(key)}


@dataclass(frozen=True)
class _Fault:
    """Why a node refuses the private key: the key of the YAML, and a sentence without its subject, up to the path."""

    key: str
    text: str


@dataclass(frozen=True)
class _Held:
    """A value that the variable may hold, and what follows it; with the key of the YAML."""

    key: str
    value: str | None
    rest: str


def _fault(texts: Mapping[str, str], public: str | None) -> _Fault | None:
    """The reason why a node refuses the private key; None if there is none, or it is unknown."""
    scripts = {key: _without_comments(text) for key, text in texts.items()}
    found = {key: list(assignments(script, _VARIABLE)) for key, script in scripts.items()}
    if public and _is_authorised_elsewhere(scripts, found, public):
        return None
    faults = [_fault_of(one, scripts, public) for one in _held(scripts, found)]
    if None in faults:
        return None
    if spaced := [
        key
        for key, values in found.items()
        if _is_shell(scripts[key]) and any(value.is_spaced and value.is_certain for value in values)
    ]:
        return _Fault(spaced[0], f"has a space beside `=`, so the script does not set it to {_HALF}")
    return faults[-1] if faults else _never_set(scripts, public)


def _without_comments(text: str) -> str:
    """A script without comments, apart from a first line that names its format."""
    first, _, rest = text.partition("\n")
    return "\n".join([first, *lines_without_comments(rest)] if has_format(text) else lines_without_comments(text))


def _is_shell(text: str) -> bool:
    return not has_format(text) or is_shell_script(text)


def _held(scripts: Mapping[str, str], found: Mapping[str, list[Assignment]]) -> list[_Held]:
    """The values that the variable may hold at the end."""
    held: list[_Held] = []
    for key, values in found.items():
        for each in (value for value in values if not value.is_spaced):
            new = _Held(key, each.value, scripts[key][each.end : each.end + _LONGEST_REST])
            if each.is_default and held:
                held = [new if one.value == "" else one for one in held]
            elif each.is_certain:
                held = [new]
            else:
                held.append(new)
    return held


def _fault_of(held: _Held, scripts: Mapping[str, str], public: str | None) -> _Fault | None:
    if held.value is None:
        return None
    if not held.value:
        return _Fault(
            held.key,
            f"is empty{_misspelt(scripts, public)}, so no login works, unless the image or another "
            f"script authorises {_HALF}",
        )
    if is_kind(held.value) and re.match(r"[ \t]+AAAA", held.rest):
        return _Fault(held.key, f"is not in quotes and ends at its first space, so it does not authorise {_HALF}")
    if public is None:
        return None
    fault = fault_of(_with_breaks(held.value, scripts), public)
    if fault is None:
        return None
    return _Fault(
        held.key,
        f"{fault} than {_HALF}" if fault.startswith("is another") else f"{fault}, so it does not authorise {_HALF}",
    )


def _with_breaks(value: str, scripts: Mapping[str, str]) -> str:
    """A value with its escaped line breaks resolved, where a script may do that: `sh` does, and `echo -e`."""
    resolves = any("sh" in first_programs(text) or _RESOLVES_BREAKS.search(text) for text in scripts.values())
    return value.replace("\\n", "\n") if resolves else value


def _never_set(scripts: Mapping[str, str], public: str | None) -> _Fault | None:
    """The fault of scripts that read the variable, and contain nothing that could set it."""
    whole = {key: lines_without_messages(text) for key, text in scripts.items() if _is_shell(text)}
    if any(_NAMED.search(text) or _READS_OTHER_TEXT.search(text) for text in whole.values()):
        return None
    key = next((key for key, text in whole.items() if _READ.search(text)), None)
    return (
        _Fault(key, f"is read and never set{_misspelt(scripts, public)}, so the script does not authorise {_HALF}")
        if key
        else None
    )


def _misspelt(scripts: Mapping[str, str], public: str | None) -> str:
    """The end of a clause that names a similar variable which holds the key, and which nothing reads."""
    lines = (line for text in scripts.values() for line in text.split("\n") if public and public in line)
    names = [name for line in lines if (name := _unread_name(line, scripts))]
    return f" (the script sets `{names[0]}`)" if names else ""


def _unread_name(line: str, scripts: Mapping[str, str]) -> str | None:
    """The variable that a line sets, if its name is similar and no script reads it."""
    found = _VALUE_OF.match(line)
    if not found or not difflib.get_close_matches(found[1], [_VARIABLE], cutoff=_LIKENESS):
        return None
    is_read = any(re.search(rf"\$\{{?{found[1]}\b", text) for text in scripts.values())
    return None if is_read else found[1]


def _is_authorised_elsewhere(scripts: Mapping[str, str], found: Mapping[str, list[Assignment]], public: str) -> bool:
    """Whether a line other than the variable's own contains the key, and may put it into `authorized_keys`."""
    return any(
        public in line and not _is_for_other_file(line, scripts) and not _unread_name(line, scripts)
        for key, text in scripts.items()
        for line in _without(text, found[key]).split("\n")
    )


def _is_for_other_file(line: str, scripts: Mapping[str, str]) -> bool:
    """Whether a line writes into another file than `authorized_keys`, which the scripts do not name again."""
    found = _FILE.search(line)
    if not found or "authorized_keys" in found[1] or "$" in found[1]:
        return False
    return sum(text.count(found[1]) for text in scripts.values()) == 1


def _without(text: str, found: list[Assignment]) -> str:
    """A script without the assignments, and without a comment or a key behind them in their lines."""
    parts, position = [], 0
    for each in found:
        parts.append(text[position : each.start])
        rest = _UNUSED.match(text, each.end)
        position = rest.end() if rest else each.end
    return "".join([*parts, text[position:]])


def _file(written: Mapping[str, Any], node_type: str, key: str) -> str:
    """The file that the YAML names for a script, in brackets; empty for a script in the YAML."""
    section = (written.get("available_node_types") or {}).get(node_type) or {}
    value = str((section.get("node_config") or {}).get(key) or "").strip()
    return f" ({one_line(value)})" if value.startswith(FILE_PREFIX) else ""
