"""Reads single values of the platform's answers, bounded before arithmetic meets them. No I/O, no state; a leaf."""

from __future__ import annotations

from datetime import datetime, timedelta

LONGEST = timedelta(days=36_525)
"""The longest time span: a plausible moment and this one have a sum, and no cluster lives for a century."""

LARGEST = 1e9
"""The largest size of a machine, in any unit."""


def is_plausible(time: datetime) -> bool:
    """Whether a time may meet arithmetic with time zones, ages and time spans."""
    return 2000 <= time.year < 2200


def moment(value: object) -> datetime | None:
    """A time of the platform; None for a missing one, and for one that is not plausible."""
    return value if isinstance(value, datetime) and value.tzinfo is not None and is_plausible(value) else None


def duration(value: object) -> timedelta | None:
    """A time span of the platform; None for a missing one, and for one below zero, in years, or above `LONGEST`."""
    return value if isinstance(value, timedelta) and timedelta(0) <= value <= LONGEST else None


def size(value: object) -> float | None:
    """A size above zero; None for a missing one, and for one that no machine has."""
    return value if isinstance(value, (int, float)) and 0 < value <= LARGEST else None


def word_of(value: object) -> str:
    """The platform's own name of an enumeration's value."""
    return str(getattr(value, "value", value))


def first_of(source: object, *names: str) -> str | None:
    """The first of some attributes of a source that has a value."""
    return next((str(value) for name in names if (value := getattr(source, name, None))), None)
