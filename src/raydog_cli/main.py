"""The command `raydog`: mounts the packages' command lines. No logic of its own."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from raydog_cli import clusters, past, reasons, removal
from raydog_cli.common import NO_ACCESS, NOT_FOUND, fail, print_safe
from raydog_cli.doctor import doctor

LOCAL = "local"
DISTRIBUTIONS = ("yellowdog-ray", "yellowdog-local")

COLLECTED_OBJECTS = 100_000
"""New objects after which Python searches for garbage in cycles. Its default of 700 takes a tenth of a second during
the imports."""


class Commands(TyperGroup):
    """The commands, of which `local` is loaded only if it is run or listed: its modules take a tenth of a second."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, or None."""
        if cmd_name not in self.commands:
            self._mount_local()
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        self._mount_local()
        return super().list_commands(ctx)

    def _mount_local(self) -> None:
        if LOCAL not in self.commands:
            from yellowdog_local.cli.main import app as local

            self.commands[LOCAL] = typer.main.get_group(local)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="RayDog: Ray clusters on YellowDog. Create and remove clusters with `ray up` and `ray down`.",
)
app.command(name="list")(clusters.list_clusters)
app.command(name="status")(clusters.show_status)
app.command()(past.events)
app.command()(past.logs)
app.command()(reasons.why)
app.command()(removal.down)
app.command()(removal.gc)
app.command()(doctor)


@app.command()
def validate(file: Annotated[Path, typer.Argument(help="The cluster's YAML file.")]) -> None:
    """Show every mistake in a cluster's YAML, with line and column. Nothing is created.

    Exit code 1 if there is a mistake, 2 if the file cannot be read. Warnings do not count.
    """
    try:
        from yellowdog_ray.config.validation import validate as find
        from yellowdog_ray.errors import ConfigError
    except ImportError as error:
        _end_without_provider(error)
    try:
        findings = find(file)
    except ConfigError as error:
        fail(str(error), NO_ACCESS)
    for finding in findings:
        kind = "warning: " * finding.is_warning
        print_safe(f"{file}:{finding.line}:{finding.column}: {kind}{finding.text}")
    mistakes = [finding for finding in findings if not finding.is_warning]
    if mistakes:
        raise typer.Exit(NOT_FOUND)
    print_safe(f"{file}: no mistake found")


@app.command()
def schema() -> None:
    """Print the JSON schema of a cluster's YAML, with which editors complete and check keys.

    For example:

        raydog schema > raydog-cluster.schema.json
    """
    try:
        from yellowdog_ray.config.cluster_schema import schema_text
    except ImportError as error:
        _end_without_provider(error)
    typer.echo(schema_text(), nl=False)


def _end_without_provider(error: ImportError) -> NoReturn:
    typer.echo(f"yellowdog-ray is missing: run `pip install .` in a clone of it ({error})", err=True)
    raise typer.Exit(2) from error


def _show_versions(is_requested: bool) -> None:
    if not is_requested:
        return
    for name in DISTRIBUTIONS:
        typer.echo(f"{name} {_installed_version(name)}")
    if warning := _warning_of_another_import(_installed_version(DISTRIBUTIONS[0])):
        typer.echo(warning)
    raise typer.Exit


def _installed_version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"


def _warning_of_another_import(installed: str) -> str | None:
    """A warning if Python imports another `yellowdog_ray` than the installed one, such as the published package's."""
    try:
        import yellowdog_ray
    except ImportError:
        return None
    imported = getattr(yellowdog_ray, "__version__", "of unknown version")
    if imported == installed:
        return None
    return (
        f"warning: Python imports yellowdog_ray {imported} from {yellowdog_ray.__path__[0]}, and `ray` runs that one: "
        "remove it"
    )


@app.callback()
def _raydog(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_versions, is_eager=True, help="Show the versions and exit.")
    ] = False,
) -> None:
    """The callback that makes `raydog` a group of commands."""


def main() -> None:
    """Run the command line.

    Most commands end within seconds, so they leave nearly all garbage in cycles to the end of their process. There,
    Python would search every object for it once more.
    """
    gc.set_threshold(COLLECTED_OBJECTS)
    try:
        app()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
