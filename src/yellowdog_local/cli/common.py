"""Shared by all commands of `raydog local`: options, error messages, progress, time spans. Imports no command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from yellowdog_local.service.admin_client import AdminClient
from yellowdog_local.service.directory import LocalPlatformError, PlatformDirectory, State

NOT_RUNNING = 3  # the exit code of `systemctl status`
# A table in a file or a pipe must not be cut to 80 columns.
WIDTH_OF_PIPES = 200

DirOption = Annotated[
    Path,
    typer.Option(
        "--dir",
        help="Directory of keys, logs and disks; one platform per directory.",
        show_default="~/.raydog/local",
    ),
]
EnvFileOption = Annotated[
    Path | None,
    typer.Option("--env-file", help="Write URL and key to this file (mode 0600); its other lines stay."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command: an error is printed as one sentence, with exit code 1."""

    @wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except LocalPlatformError as error:
            fail(str(error))

    return wrapped


def fail(message: str) -> NoReturn:
    """Print an error and end the command with exit code 1."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


@contextmanager
def progress(message: str) -> Iterator[Callable[[str], None]]:
    """Show progress in a terminal; print plain lines elsewhere. Yields a function that reports the next step."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        typer.echo(f"{message} ...", err=True)
        yield lambda text: typer.echo(f"{text} ...", err=True)
        return
    with screen.status(message) as status:
        yield lambda text: status.update(text)


def console() -> Console:
    """The console for tables."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_PIPES, highlight=False)


def not_running(place: PlatformDirectory) -> str:
    """The message of commands that need a running platform."""
    return f"no local platform runs in {place.path}: `raydog local start` starts one"


def running(place: PlatformDirectory) -> State:
    """The state of the running platform; ends the command with exit code 3 without one."""
    state = place.running()
    if state is None:
        typer.echo(not_running(place), err=True)
        raise typer.Exit(NOT_RUNNING)
    return state


def admin(directory: Path) -> AdminClient:
    """A client for the running platform's admin routes; ends the command with exit code 3 without one."""
    place = PlatformDirectory(directory)
    return AdminClient(running(place).url, place.api_key())
