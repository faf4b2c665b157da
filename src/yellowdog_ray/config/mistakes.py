"""A mistake in a YAML: its place and its message. Imports only `paths` and base modules."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from yellowdog_ray.config.paths import SECRET
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.printable import one_line

Place = tuple[str | int, ...]
"""The keys and list indexes that lead to a value of the YAML."""

TEXT = "text, in quotes if it looks like a number or a date"
"""The value to give where YAML reads a number, a date, true or false, or nothing."""

_SHOWN_CHARACTERS = 60
_SHOWN_LEVELS = 5


def hint(key: str, known: list[str]) -> str:
    """The remedy for an unknown key: the nearest known one, or one of all."""
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}"


@dataclass(frozen=True)
class Mistake:
    """A value of the YAML with which no cluster can run.

    Attributes:
        place: where the value is.
        text: what is wrong and what to do; it follows the place in the message.
    """

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.place)}{one_line(self.text)}"

    def is_within(self, others: Iterable[Mistake]) -> bool:
        """Whether another mistake is at this place, or at a key around it."""
        return any(self.place[: len(other.place)] == other.place for other in others)


def dotted(place: Place) -> str:
    """A place as messages show it: `available_node_types.worker.max_workers`."""
    return ".".join("<private key>" if SECRET.search(str(part)) else one_line(str(part)) for part in place)


def shown(value: object) -> str:
    """A value as messages show it, shortened. A private key is not shown."""
    if value is None:
        return "empty"
    text = _as_in_yaml(value)
    if SECRET.search(text):
        return "the text of a private key"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."


def _as_in_yaml(value: object, depth: int = _SHOWN_LEVELS) -> str:
    """A value as YAML writes it in one line; text as Python does, which shows each character."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping | list) and not depth:
        return "..."
    if isinstance(value, Mapping):
        pairs = (f"{_as_in_yaml(key)}: {_as_in_yaml(part, depth - 1)}" for key, part in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_as_in_yaml(part, depth - 1) for part in value)}]"
    return repr(value)


def refuse(mistakes: Iterable[Mistake], source: str) -> None:
    """Raise one error for all mistakes, one line each.

    Raises:
        ConfigError: there is a mistake.
    """
    lines = [f"{source}: {mistake}" for mistake in mistakes]
    if lines:
        raise ConfigError("\n".join(lines))
