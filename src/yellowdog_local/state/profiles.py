"""Reads settings from a profile file or from `NAME=VALUE` words, and names the nearest setting for an unknown one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from yellowdog_local.state.settings import Settings


class ProfileError(ValueError):
    """The user gave a setting that does not exist, or a value of a wrong type or out of range."""


def load_profile(path: Path) -> Settings:
    """The settings of a profile: a JSON file with an object of names and values; the others have their defaults.

    Raises:
        ProfileError: the file cannot be read, or has an unknown setting or an invalid value.
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ProfileError(f"{path}: not a readable JSON file: {error}") from error
    if not isinstance(values, dict):
        raise ProfileError(f"{path}: must be a JSON object of settings")
    return _settings(values, f"{path}: ")


def assume(words: Iterable[str], base: Settings = Settings()) -> Settings:  # noqa: B008 - immutable
    """The settings of `NAME=VALUE` words; the others are those of `base`.

    A value is JSON, such as `false`, `90` or `null`; any other text is a string.

    Raises:
        ProfileError: a word is of another form, or has an unknown setting or an invalid value.
    """
    values: dict[str, Any] = base.model_dump(mode="json", exclude_defaults=True)
    for word in words:
        name, separator, text = word.partition("=")
        if not separator:
            raise ProfileError(f"'{word}': write NAME=VALUE")
        values[name] = _value(text)
    return _settings(values, "")


def changed(settings: Settings) -> list[str]:
    """The `NAME=VALUE` words that give these settings."""
    values = settings.model_dump(mode="json", exclude_defaults=True)
    return [f"{name}={json.dumps(value)}" for name, value in values.items()]


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _settings(values: Mapping[str, object], source: str) -> Settings:
    for name in values:
        if name not in Settings.model_fields:
            (nearest,) = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.0)
            raise ProfileError(f"{source}unknown setting '{name}': did you mean '{nearest}'?")
    try:
        return Settings.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ProfileError(f"{source}{name}: {first['msg']}, and is {json.dumps(first['input'])}") from error
