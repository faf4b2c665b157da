"""Check that scripts of user data authorise the private key of `auth` on the nodes that need it. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from yellowdog_ray.config.local_files import FILE_PREFIX
from yellowdog_ray.config.mistakes import dotted
from yellowdog_ray.config.shell_lines import lines_without_comments, lines_without_messages
from yellowdog_ray.config.shell_scripts import USERDATA
from yellowdog_ray.printable import one_line

_VARIABLE = "SSH_PUBLIC_KEY"
"""The variable of examples/autoscaler/scripts/node-setup.sh that holds the public key."""

_ASSIGNED = re.compile(rf"(?<![\w${{]){_VARIABLE}=(?:\"([^\"]*)\"|'([^']*)'|(\$\{{[^}}]*\}}|[^\s;&|)]*))")
_DEFAULT = re.compile(rf"\$\{{{_VARIABLE}:?-([^$`]*)\}}")
"""A default value, which holds on a new machine: cloud-init sets no such variable."""

_EXPANDED = re.compile(r"[$`]")


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
        texts = _userdata(config, name)
        if fault := _fault(list(texts.values()), public):
            key = max((key for key in texts if _values(texts[key])), key=lambda key: any(_values(texts[key])))
            warnings.append(
                f"{source}: {dotted(('available_node_types', name, 'node_config', key))}{_file(written, name, key)}: "
                f"{_VARIABLE} {fault} {one_line(path)} (auth.ssh_private_key). Set it to the output of "
                f"`ssh-keygen -y -f {one_line(shlex.quote(path))}`"
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


def _fault(texts: Sequence[str], public: str | None) -> str | None:
    """The reason why a node refuses the private key, up to the key's path; None if there is none, or it is unknown."""
    values = [value for text in texts for value in _values(text)]
    if not values or any(map(_EXPANDED.search, values)):
        return None
    if public and any(public in line for text in texts for line in lines_without_comments(text)):
        return None
    if not any(values):
        return "is empty, so no login works, unless the image or another script authorises the public half of"
    return "is another key than the public half of" if public else None


def _values(text: str) -> list[str]:
    """The values that a script assigns to the variable; a default stands for itself."""
    assigned = _ASSIGNED.findall(lines_without_messages(text))
    found = ("".join(groups).strip() for groups in assigned)
    return [default[1].strip() if (default := _DEFAULT.fullmatch(value)) else value for value in found]


def _file(written: Mapping[str, Any], node_type: str, key: str) -> str:
    """The file that the YAML names for a script, in brackets; empty for a script in the YAML."""
    section = (written.get("available_node_types") or {}).get(node_type) or {}
    value = str((section.get("node_config") or {}).get(key) or "").strip()
    return f" ({one_line(value)})" if value.startswith(FILE_PREFIX) else ""
