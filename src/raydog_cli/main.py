"""The `raydog` command: mounts the command lines of the packages. Knows none of what they do."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("typer", "rich")


def main() -> None:
    """Run the command line; without the packages it needs, say which to install."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(f"raydog needs {' and '.join(missing)}: run `pip install 'yellowdog-ray[local]'`")
    # Only here: before the check above, this import would end in a traceback.
    import typer

    from yellowdog_local.cli.main import app as local

    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        help="RayDog: Ray clusters on YellowDog. Clusters are made with Ray's own commands (`ray up`, `ray down`).",
    )
    app.callback()(_raydog)
    app.add_typer(local, name="local")
    app()


def _raydog() -> None:
    """RayDog: Ray clusters on YellowDog. Clusters are made with Ray's own commands (`ray up`, `ray down`)."""


if __name__ == "__main__":
    main()
