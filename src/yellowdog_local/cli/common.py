"""What all commands of `raydog local` have in common: options, errors in one sentence, progress. Knows no command."""

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

NOT_RUNNING = 3  # as `systemctl status` answers
# Wide where nobody looks at it: a table in a file or a pipe must not be cut to 80 columns.
WIDTH_OF_PIPES = 200

DirOption = Annotated[
    Path,
    typer.Option(
        "--dir",
        help="Where keys, logs and disks are kept; one platform per directory (default: ~/.raydog/local).",
        show_default=False,
    ),
]
EnvFileOption = Annotated[
    Path | None,
    typer.Option("--env-file", help="Write the three YD_ lines into this file (mode 0600); its other lines stay."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def says_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what went wrong into one sentence and exit code 1."""

    @wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except LocalPlatformError as error:
            fail(str(error))

    return wrapped


def fail(message: str) -> NoReturn:
    """Say what is wrong, and end the command with exit code 1."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


@contextmanager
def progress(message: str) -> Iterator[Callable[[str], None]]:
    """Show that something is being done; plain lines where there is no terminal."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        typer.echo(f"{message} ...", err=True)
        yield lambda text: typer.echo(f"{text} ...", err=True)
        return
    with screen.status(message) as status:
        yield lambda text: status.update(text)


def console() -> Console:
    """Where tables are printed."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_PIPES, highlight=False)


def not_running(place: PlatformDirectory) -> str:
    """The sentence for who asks something of a platform that does not run."""
    return f"no local platform runs in {place.path}: `raydog local start` starts one"


def running(place: PlatformDirectory) -> State:
    """The platform that runs; ends the command, with its own exit code, where none does."""
    state = place.running()
    if state is None:
        typer.echo(not_running(place), err=True)
        raise typer.Exit(NOT_RUNNING)
    return state


def admin(directory: Path) -> AdminClient:
    """The administrator's side of the platform that runs; ends the command where none does."""
    place = PlatformDirectory(directory)
    return AdminClient(running(place).url, place.api_key())
