"""Reads settings from a profile file or from `NAME=VALUE` words, and names the nearest setting for an unknown one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from yellowdog_local.state.settings import Settings, nearest_setting

MAX_SECONDS = 10 * 365 * 86_400.0
"""The longest time of a setting, ten years: the clock must not overflow."""

_QUOTED_CHARACTERS = 80


class ProfileError(ValueError):
    """The user gave a setting that does not exist, or a value of a wrong type or out of range."""


def load_profile(path: Path) -> Settings:
    """The settings of a profile: a JSON file with an object of names and values; the others have their defaults.

    Raises:
        ProfileError: the file cannot be read, or has an unknown setting or an invalid value.
    """
    try:
        values = _parse(path.read_text(encoding="utf-8-sig"))
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from error
    except OSError as error:
        raise ProfileError(f"{path}: not a readable JSON file: {error.strerror or error}") from error
    except ValueError as error:
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
            raise ProfileError(f"'{_quote(word)}': write NAME=VALUE")
        values[name] = _value(text)
    return _settings(values, "")


def changed(settings: Settings) -> list[str]:
    """The `NAME=VALUE` words that give these settings."""
    values = settings.model_dump(mode="json", exclude_defaults=True)
    return [f"{name}={json.dumps(value)}" for name, value in values.items()]


def _value(text: str) -> object:
    try:
        return _parse(text)
    except ProfileError:
        raise
    except ValueError:
        return text


def _parse(text: str) -> object:
    """The value of a JSON text.

    Raises:
        ProfileError: a key is given twice, or the nesting is too deep.
        ValueError: the text is no JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ProfileError("the JSON is nested too deeply") from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ProfileError(f"'{_quote(key)}' is given twice")
        found[key] = value
    return found


def _quote(text: str) -> str:
    """A printable form of a user's text, shortened."""
    printable = text[: _QUOTED_CHARACTERS + 1].encode("unicode_escape").decode("ascii")
    return printable if len(printable) <= _QUOTED_CHARACTERS else f"{printable[:_QUOTED_CHARACTERS]}..."


def _check_json(value: object, name: str) -> None:
    """Refuse a value that Python's JSON parser accepts and pydantic's does not."""
    try:
        text = json.dumps(value)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ProfileError(f"{name}: contains a lone surrogate, which is no character") from error
    except RecursionError as error:
        raise ProfileError(f"{name}: the JSON is nested too deeply") from error
    try:
        from_json(text)
    except ValueError as error:
        raise ProfileError(f"{name}: the JSON is nested too deeply") from error


def _settings(values: Mapping[str, object], source: str) -> Settings:
    for name in values:
        if name not in Settings.model_fields:
            raise ProfileError(f"{source}unknown setting '{_quote(name)}': did you mean '{nearest_setting(name)}'?")
        _check_json(values[name], f"{source}{name}")
    try:
        settings = Settings.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = _quote(".".join(map(str, first["loc"])))
        value = _quote(json.dumps(first["input"]))
        raise ProfileError(f"{source}{name}: {first['msg']}, and is {value}") from error
    for name, value in settings:
        if isinstance(value, float) and not value <= MAX_SECONDS:  # also refuses NaN
            raise ProfileError(f"{source}{name}: must be at most {MAX_SECONDS:.0f} (10 years), and is {value}")
    return settings
