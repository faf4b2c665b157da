"""The command `raydog`: mounts the packages' command lines. No logic of its own."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("typer", "rich")
_HELP = "RayDog: Ray clusters on YellowDog. Create and remove clusters with `ray up` and `ray down`."


def main() -> None:
    """Run the command line; name the packages to install if some are missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(f"raydog needs {' and '.join(missing)}: run `pip install 'yellowdog-ray[local]'`")
    # Not above: before the check, these imports would end in a traceback.
    import typer

    from yellowdog_local.cli.main import app as local

    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        help=_HELP,
    )
    app.callback(help=_HELP)(_raydog)
    app.add_typer(local, name="local")
    app()


def _raydog() -> None:
    """The callback that makes `raydog` a group of commands."""


if __name__ == "__main__":
    main()
