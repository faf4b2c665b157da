"""Shared by the commands for clusters: options, exit codes, texts. Imports neither Ray nor the SDK."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any, NoReturn

import typer

from yellowdog_local.cli.durations import format_seconds

NOT_FOUND = 1
"""Nothing was found, or only a part could be read or removed."""
NO_ACCESS = 2
"""The input is wrong, the key is missing or refused, or YellowDog does not answer."""

JSON_VERSION = 1
"""The version of every `--json` shape: a field may be added without a new one."""

JSON_INDENT = 2

MAX_REASON = 60
"""Characters of a reason in a terminal's table; pipes and `--json` have all of it."""


def checked_namespace(namespace: str | None) -> str | None:
    """A namespace that the user has given. A name that no namespace can have ends the command with `NO_ACCESS`."""
    if namespace is None:
        return None
    with reported_errors():
        from yellowdog_ray.names import NAMING_RULE, is_valid_name

        if not is_valid_name(namespace):
            fail(f"'{namespace}' is no namespace's name: a name has {NAMING_RULE}", NO_ACCESS)
    return namespace


NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        help="The namespace; by default every one that the key can read.",
        callback=checked_namespace,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ClusterArgument = Annotated[str, typer.Argument(help="The cluster's name, or its YAML.", show_default=False)]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not prompt.")]


@contextmanager
def reported_errors() -> Iterator[None]:
    """Print an error of RayDog as one message, and end the command with `NO_ACCESS`."""
    try:
        from yellowdog_ray.errors import RayDogError, TeardownIncomplete
    except ImportError as error:
        typer.echo(f"yellowdog-ray is missing: run `pip install .` in a clone of it ({error})", err=True)
        raise typer.Exit(NO_ACCESS) from error
    log, lines = logging.getLogger("yellowdog_ray"), _LogLines(logging.WARNING)
    log.addHandler(lines)
    try:
        yield
    except TeardownIncomplete as error:
        fail(str(error), NOT_FOUND)
    except RayDogError as error:
        fail(str(error), NO_ACCESS)
    finally:
        log.removeHandler(lines)


class _LogLines(logging.Handler):
    """Prints the message of each record, in place of Python's last resort, which also prints its traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        print_safe(record.getMessage(), err=True)


def print_safe(text: str, *, err: bool = False) -> None:
    """Print untrusted text without terminal control characters."""
    typer.echo(printable(text), err=err)


def printable(text: str) -> str:
    """A text without terminal control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def fail(message: str, code: int) -> NoReturn:
    """Print an error and end the command."""
    print_safe(f"error: {message}", err=True)
    raise typer.Exit(code)


def print_json(shape: dict[str, Any], *, indent: int | None = JSON_INDENT) -> None:
    """Print a documented shape with its version; without indent on one line."""
    typer.echo(json.dumps({"version": JSON_VERSION, **shape}, indent=indent))


def is_terminal() -> bool:
    """Whether the output goes to a person."""
    return sys.stdout.isatty()


def cut(text: str) -> str:
    """A text for a table's cell, shortened in a terminal."""
    if not is_terminal() or len(text) <= MAX_REASON:
        return text
    return f"{text[: MAX_REASON - 4]} ..."


def format_duration(time: timedelta) -> str:
    """A time span in its two largest units; one below zero is none."""
    return format_seconds(max(0.0, time.total_seconds()))


def format_age(created: datetime | None, now: datetime) -> str:
    """The time since a creation; an unknown one has an unknown age."""
    return format_duration(now - created) if created else "an unknown time"


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """The seconds between two times for JSON, or None if one is missing."""
    return round((end - start).total_seconds(), 1) if start and end else None


def iso_time(time: datetime | None) -> str | None:
    """A time for JSON: ISO 8601, in UTC."""
    return time.isoformat() if time else None


def counts(numbers: dict[str, int] | Any, word: Callable[[str], str] = str.lower) -> str:
    """Numbers by word, such as `2 running, 1 pending`."""
    return ", ".join(f"{number} {word(name)}" for name, number in numbers.items() if number)
