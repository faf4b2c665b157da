"""The checks of `userdata` and `extra_userdata` together: what cloud-init, or a cloud, would ignore or refuse.

bash reads their syntax. No script runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from yellowdog_ray.config.characters import has_lone_surrogate
from yellowdog_ray.config.cloud_config import MERGE, cloud_config_mistake, repeated_keys, replaced_keys
from yellowdog_ray.config.local_files import MAX_TEXT_BYTES
from yellowdog_ray.config.mistakes import dotted
from yellowdog_ray.config.script_texts import has_private_key
from yellowdog_ray.config.shell_scripts import USERDATA
from yellowdog_ray.config.shell_syntax import dash_mistake, syntax_mistake
from yellowdog_ray.config.userdata import (
    first_line_mistake,
    first_programs,
    full_userdata,
    has_format,
    is_shell_script,
    mistake_together,
    reason_to_skip,
    stripped,
)
from yellowdog_ray.errors import ConfigError

AWS_BYTES = 16_384
"""Maximum bytes of AWS's user data, before its encoding in base64 (AWS: "Work with instance user data")."""

_OTHERS = ", Oracle Cloud 32,000 (in base64), Azure 65,536 and Google Cloud 262,144"
"""Their documentation: "Updating Instance Metadata", "Custom data", and the REST resource `Metadata`."""
_SHORTEN = "put parts of it into the image, or let a short script download them"


def check_userdata(section: Mapping[str, Any], source: str, path: str) -> None:
    """Refuse user data that cloud-init would ignore or take for a script, and texts that cannot be joined.

    Args:
        section: a `node_config`, without `file:` values.
        source: the YAML's name, for messages.
        path: the section's place in the YAML, for messages.

    Raises:
        ConfigError: there are such texts; one line for each.
    """
    if lines := [f"{source}: {path}.{text}" for text in _mistakes(*_texts(section))]:
        raise ConfigError("\n".join(lines))


def userdata_warnings(config: Mapping[str, Any], source: str) -> list[str]:
    """A warning for each part of user data that may not run or take effect, or that others may read.

    Args:
        config: the completed YAML.
        source: the YAML's name, for messages.
    """
    return [
        f"{source}: {dotted(('available_node_types', name, 'node_config'))}.{text}"
        for name, node_type in config["available_node_types"].items()
        for text in _warnings(*_texts(node_type.get("node_config") or {}))
    ]


def _texts(section: Mapping[str, Any]) -> tuple[str, str]:
    """Both texts of a section, stripped; empty where there is none."""
    first, extra = (stripped(str(text)) if (text := section.get(key)) else "" for key in USERDATA)
    return first.rstrip() and first, extra.rstrip() and extra


def _mistakes(first: str, extra: str) -> Iterator[str]:
    for key, text in zip(USERDATA, (first, extra), strict=True):
        if has_lone_surrogate(text):
            yield f"{key} contains a lone surrogate (\\ud800 to \\udfff): write the complete character"
    if (size := _size(first, extra)) > MAX_TEXT_BYTES:
        yield f"{_whole(first, extra)} has {size:,} bytes, and no cloud accepts {MAX_TEXT_BYTES:,}: {_SHORTEN}"
    if first and (mistake := _mistake_alone(first)):
        yield f"userdata: {mistake}"
    if not extra:
        return
    mistake = mistake_together(first, extra) if first else None
    if not mistake and not _continues(first, extra):
        mistake = _mistake_alone(extra) or (None if has_format(extra) else syntax_mistake(extra))
    if mistake:
        yield f"extra_userdata: {mistake}"


def _mistake_alone(text: str) -> str | None:
    return cloud_config_mistake(text) or first_line_mistake(text)


def _continues(first: str, extra: str) -> bool:
    """Whether `extra` is a part of a first text that is no shell script."""
    return has_format(first) and not is_shell_script(first) and not has_format(extra)


def _warnings(first: str, extra: str) -> Iterator[str]:
    if first and extra and (reason := reason_to_skip(first, extra)):
        remedy = "change userdata, or put both scripts into userdata"
        yield f"extra_userdata may not run, because userdata {reason}: {remedy}"
    if keys := _quoted(replaced_keys(first, extra)):
        yield (
            f"extra_userdata replaces {keys} of userdata, because cloud-init keeps the last value of each key. Add the "
            f"line `merge_how: {MERGE}` to extra_userdata, which appends its lists, or write each key once"
        )
    is_one = bool(extra) and _continues(first, extra)
    own = f"userdata{' (with extra_userdata)' if is_one else ''}", f"{first}\n{extra}" if is_one else first
    for key, text in (own, ("extra_userdata", extra)):
        if keys := _quoted(repeated_keys(text)):
            yield f"{key} has {keys} twice, and cloud-init uses the last value only: write each key once"
    for key, text in zip(USERDATA, (first, extra), strict=True):
        if has_private_key(text):
            yield (
                f"{key} contains a private key, which all readers of the machine's user data can copy. Put the key "
                "into the image, or copy it with file_mounts"
            )
    yield from _warnings_of_sh(first, extra)
    size = _size(first, extra)
    if size > AWS_BYTES:
        yield f"{_whole(first, extra)} has {size:,} bytes, and AWS accepts at most {AWS_BYTES:,}{_OTHERS}: {_SHORTEN}"


def _size(first: str, extra: str) -> int:
    """The bytes of the whole user data. Lone surrogates are refused elsewhere."""
    return len((full_userdata(first, extra) or "").encode(errors="replace"))


def _whole(first: str, extra: str) -> str:
    """The key that stands for both, for messages."""
    return f"userdata{' with extra_userdata' if extra else ''}" if first else "extra_userdata"


def _warnings_of_sh(first: str, extra: str) -> Iterator[str]:
    """A warning for each text for `sh` that dash rejects. Other systems run such texts in bash."""
    for key, text in zip(USERDATA, (first, extra), strict=True):
        begin = first if text == extra and not has_format(text) else text
        if first_programs(begin)[-1:] == ["sh"] and (mistake := dash_mistake(text)):
            yield (
                f"{key}: the `sh` of Debian and Ubuntu, dash, cannot read {mistake}: write `#!/bin/bash`, unless the "
                "image has another `sh`"
            )


def _quoted(keys: list[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)
