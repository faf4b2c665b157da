"""Leftovers of a failed `ray` command on the platform: named at its end, with the command that removes them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from yellowdog_ray.commands.context import yaml_file
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.errors import PlatformError, Unavailable


class Created:
    """The objects that a command has created, or may have created."""

    def __init__(self) -> None:
        self._names: list[str] = []

    @property
    def names(self) -> Sequence[str]:
        """Kind and name of each, in the order of their creation."""
        return tuple(self._names)

    @contextmanager
    def creating(self, name: str) -> Iterator[None]:
        """Note an object during its creation; a call without a usable answer may have been applied."""
        try:
            yield
        except PlatformError as error:
            if isinstance(error, Unavailable):
                self._names.append(name)
            raise
        except BaseException:
            self._names.append(name)
            raise
        self._names.append(name)

    def removed(self) -> None:
        """Note that everything was removed."""
        self._names.clear()


def report_if_command_fails(names: Callable[[], Sequence[str]]) -> None:
    """Name these objects at the end of the present `ray` command if it fails. Does nothing outside a command.

    Args:
        names: gives kind and name of each object.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return
    source, _ = yaml_file()

    def report() -> None:
        error = sys.exc_info()[1]
        succeeded = error is None or (isinstance(error, SystemExit) and not error.code)
        if succeeded or not names():
            return
        Progress().report(
            f"left on YellowDog, where it may cost money: {', '.join(names())}. `ray down {source}` removes it, "
            f"`ray up {source}` continues with it"
        )

    context.call_on_close(report)
