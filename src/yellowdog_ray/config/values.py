"""The types of single values in the YAML: each one's check, its remedy, and what a JSON schema can express of it.

Must not import `models`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from yellowdog_ray import names
from yellowdog_ray.config import instance_tags
from yellowdog_ray.config.limits import (
    MAX_BUILD_MINUTES,
    MAX_IDLE_MINUTES,
    MAX_LIFETIME_HOURS,
    MIN_BUILD_MINUTES,
    MIN_IDLE_MINUTES,
    MIN_LIFETIME_HOURS,
)
from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.config.paths import LONGEST_PATH, NO_CONTROL_CHARACTERS, path_mistake
from yellowdog_ray.config.ports import USED_PORTS, free_port
from yellowdog_ray.node.variables import DEFAULT_TAG_SERVER_PORT

_Given = TypeVar("_Given")
_Checked = TypeVar("_Checked")

_USER = r"[A-Za-z0-9_.@][A-Za-z0-9_.@-]*"
_TAG_RULE = f"lower-case letters, digits, '-', '_', '.' and ':', at most {names.MAX_TAG_LENGTH} characters"
_DIGITS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_FLAGS = {"true": True, "false": False}
_FILLED_IN = r"(?!.*(\.\.\.|[$<>{}]))"
"""No character of a variable or placeholder, such as `$NAME`, `{{name}}`, `<name>` or `ydid:crt:...`, follows."""
_OF_A_WORD = r"[^/\s\x00-\x1f\x7f]"
_IN_NAMESPACE = rf"(?!ydid:){_OF_A_WORD}+/{_OF_A_WORD}+"
_TEMPLATE = rf"{_FILLED_IN}(ydid:crt:{_OF_A_WORD}+|{_IN_NAMESPACE})"
_POOL = rf"{_FILLED_IN}(ydid:wrkrpool:{_OF_A_WORD}+|{_IN_NAMESPACE})"
_IMAGE = rf"{_FILLED_IN}{NO_CONTROL_CHARACTERS}"


@dataclass(frozen=True)
class Remedy:
    """The advice at the end of a message about a wrong or missing key; part of the key's annotation."""

    text: str


def _name(value: str) -> str:
    if not names.is_valid_name(value):
        raise ValueError(f"{shown(value)} is not a name that YellowDog accepts: use {names.NAMING_RULE}")
    return value


def _tag(value: str) -> str:
    if not names.is_valid_tag(value):
        raise ValueError(f"{shown(value)} is not a tag that YellowDog accepts: use {_TAG_RULE}")
    return value


def _user(value: str) -> str:
    # Ray and OpenSSH put the name into commands, and expand characters such as `$`, `{` and `%` there.
    if not re.fullmatch(_USER, value):
        raise ValueError(
            f"{shown(value)} is not the name of a user (letters, digits, '_', '.', '-' and '@'): name the user that "
            "runs the tasks, usually `yd-agent`"
        )
    return value


def _path(value: str) -> str:
    if mistake := path_mistake(value):
        raise ValueError(mistake)
    return value


def _script(value: str) -> str:
    if not value.strip():
        raise ValueError("it is empty: write a script, or remove the key to use RayDog's own")
    return value


def _number(value: object) -> object:
    """Refuse text other than digits, and true and false, which Python counts as 1 and 0."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise PydanticCustomError("number", "this is no number")
    return value


def _flag(value: object) -> object:
    """Accept the words true and false in quotes, as published versions of RayDog do."""
    return _FLAGS.get(value, value) if isinstance(value, str) else value


def _files(value: object) -> object:
    """Refuse in one message what is neither of the two forms; pydantic gives a message for each."""
    parts = [*value, *value.values()] if isinstance(value, Mapping) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise PydanticCustomError("files", "neither a list nor a mapping of paths")
    return value


def _template(value: str) -> str:
    return _reference(value, _TEMPLATE, "a template's id (ydid:crt:...)")


def _pool(value: str) -> str:
    return _reference(value, _POOL, "a worker pool's id (ydid:wrkrpool:...)")


def _optional(check: Callable[[_Given], _Checked]) -> Callable[[_Given | None], _Checked | None]:
    return lambda value: None if value is None else check(value)


def _image(value: str) -> str:
    return _reference(value, _IMAGE, "an image's id")


def _reference(value: str, pattern: str, an_id: str) -> str:
    if re.fullmatch(pattern, value):
        return value
    if not re.match(_FILLED_IN, value):
        raise ValueError(
            f"{shown(value)} contains a variable or a placeholder, which RayDog does not replace: write {an_id}, or "
            "`namespace/name`, in full"
        )
    raise ValueError(f"{shown(value)} is neither {an_id} nor its `namespace/name`")


def whole(pattern: str) -> str:
    """A regular expression of JSON schema for a whole text. `$` alone also matches before a last line break."""
    return f"^{pattern}$(?!\\n)"


def _pattern(pattern: str, message: str, **keywords: Any) -> Any:
    """A regular expression, with the message that editors show instead of it."""
    return _in_schema(pattern=pattern, patternErrorMessage=message, **keywords)


def _in_schema(**keywords: Any) -> Any:
    """Keywords of JSON schema that a value's check implies. pydantic does not apply them."""
    return Field(json_schema_extra=keywords)


_BOOLEAN = Remedy("write true or false")
_HOURS = Remedy(f"give a number of hours from {MIN_LIFETIME_HOURS} to {MAX_LIFETIME_HOURS:,}, for example 2.5")
_MINUTES = Remedy(f"give a number of minutes from {MIN_BUILD_MINUTES} to {MAX_BUILD_MINUTES:,}, for example 10")
_IDLE_MINUTES = Remedy(
    f"give a number of minutes from {MIN_IDLE_MINUTES} to {MAX_IDLE_MINUTES:,}, for example 60, or remove the key"
)
_PORT = Remedy(f"give a port number, for example {DEFAULT_TAG_SERVER_PORT}")

Hours = Annotated[float, BeforeValidator(_number), _HOURS]
Minutes = Annotated[float, BeforeValidator(_number), _MINUTES]
OptionalMinutes = Annotated[float | None, BeforeValidator(_number), _IDLE_MINUTES]
Port = Annotated[
    int, BeforeValidator(_number), AfterValidator(free_port), _PORT, _in_schema(**{"not": {"enum": sorted(USED_PORTS)}})
]
UnquotedBoolean = Annotated[bool, Field(strict=True), _BOOLEAN]
"""A value that Ray reads too, for which every text is true."""
Boolean = Annotated[bool, Field(strict=True), BeforeValidator(_flag), _BOOLEAN]
OptionalBoolean = Annotated[bool | None, Field(strict=True), BeforeValidator(_flag), _BOOLEAN]
Name = Annotated[
    str,
    AfterValidator(_name),
    _pattern(whole(names.NAME_PATTERN), f"Use {names.NAMING_RULE}.", maxLength=names.MAX_NAME_LENGTH),
]
OptionalTag = Annotated[
    str | None,
    AfterValidator(_optional(_tag)),
    _pattern(whole(names.TAG_PATTERN), f"Use {_TAG_RULE}.", maxLength=names.MAX_TAG_LENGTH),
]
User = Annotated[
    str,
    AfterValidator(_user),
    Remedy("name the user that runs the tasks, usually `yd-agent`"),
    _pattern(whole(_USER), "Name the user that runs the tasks, usually yd-agent."),
]
OptionalPath = Annotated[
    str | None,
    AfterValidator(_optional(_path)),
    _pattern(whole(NO_CONTROL_CHARACTERS), "Give a path of one line.", maxLength=LONGEST_PATH),
]
OptionalScript = Annotated[
    str | None,
    AfterValidator(_optional(_script)),
    _pattern(r"\S", "Write a script, or remove the key to use RayDog's own."),
]
RayAuth = Annotated[Literal["token", "none"] | None, Remedy("write token or none (YAML reads `off` and `no` as false)")]
_Local = Annotated[str, _in_schema(minLength=1)]
Files = Annotated[
    list[_Local] | dict[str, _Local],
    BeforeValidator(_files),
    Remedy("give a list of paths, or a mapping of remote path to local path"),
]
_Tags = Annotated[
    dict[str, str],
    _in_schema(
        maxProperties=instance_tags.MAX_TAGS,
        propertyNames={"pattern": whole(instance_tags.KEY_PATTERN), "maxLength": instance_tags.MAX_KEY},
        additionalProperties={
            "type": "string",
            "pattern": whole(instance_tags.VALUE_PATTERN),
            "maxLength": instance_tags.MAX_VALUE,
        },
    ),
]
Tags = Annotated[_Tags, BeforeValidator(instance_tags.checked_tags)]
OptionalTags = Annotated[_Tags | None, BeforeValidator(_optional(instance_tags.checked_tags))]
OptionalTemplate = Annotated[
    str | None,
    AfterValidator(_optional(_template)),
    Remedy("give the template's id, or its `namespace/name`"),
    _pattern(whole(_TEMPLATE), "Give the template's id (ydid:crt:...), or its namespace/name."),
]
OptionalImage = Annotated[
    str | None,
    AfterValidator(_optional(_image)),
    _pattern(whole(_IMAGE), "Give the image's id in full: RayDog replaces no variable or placeholder."),
]
OptionalPool = Annotated[
    str | None,
    AfterValidator(_optional(_pool)),
    Remedy("give the configured worker pool's id, or its `namespace/name`"),
    _pattern(whole(_POOL), "Give the worker pool's id (ydid:wrkrpool:...), or its namespace/name."),
]
