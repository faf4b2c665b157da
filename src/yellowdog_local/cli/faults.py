"""The command `raydog local fault`: adds, lists and removes faults of the running platform."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from yellowdog_local.cli.common import DirOption, JsonOption, admin, console, reports_errors
from yellowdog_local.cli.fault_kinds import KINDS
from yellowdog_local.service.directory import default_directory

app = typer.Typer(
    name="fault",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Inject faults: failing calls, lost machines, missing capacity, a revoked key.

For example:

    raydog local fault add apply-then-fail --call "POST /workerPools/provisioned/template" --times 1

    raydog local fault list

    raydog local fault clear
""",
)

_CALLS = "For calls"
_MACHINES = "For machines and tasks"
_KINDS = "\n\n".join(f"[bold]{name}[/bold]: {words}" for name, words in KINDS.items())


def _add(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="Kind of fault; see above.", show_default=False)],
    directory: DirOption = default_directory(),  # noqa: B008 (typer's form of a default)
    as_json: JsonOption = False,
    nth: Annotated[int | None, typer.Option(help="Apply to the n-th match, once unless --times is given.")] = None,
    times: Annotated[int | None, typer.Option(help="Apply at most this often.", show_default="no limit")] = None,
    probability: Annotated[
        float | None, typer.Option(help="Apply to each match with this probability, 0 to 1.", show_default="1")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random choice.", show_default="0")] = None,
    call: Annotated[
        str | None,
        typer.Option(
            help="Calls to match: 'POST /work/taskGroups/*/tasks', 'GET /work/**' ...", rich_help_panel=_CALLS
        ),
    ] = None,
    status: Annotated[int | None, typer.Option(help="HTTP status to return.", rich_help_panel=_CALLS)] = None,
    error_type: Annotated[
        str | None,
        typer.Option(help="The platform's errorType to return; without it, a gateway's error.", rich_help_panel=_CALLS),
    ] = None,
    message: Annotated[
        str | None, typer.Option(help="Message of the error, or of the cloud.", rich_help_panel=_CALLS)
    ] = None,
    retry_after_seconds: Annotated[
        int | None,
        typer.Option("--retry-after", help="Header Retry-After to return (seconds).", rich_help_panel=_CALLS),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Delay of the call, time between bytes, or lag of lists (seconds).", rich_help_panel=_CALLS),
    ] = None,
    applied: Annotated[
        bool | None,
        typer.Option("--applied", help="hang: serve the call, but hold back its answer.", rich_help_panel=_CALLS),
    ] = None,
    pool: Annotated[
        str | None, typer.Option(help="Worker pools to match, by name, with * and ?.", rich_help_panel=_MACHINES)
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Compute sources to match, likewise.", rich_help_panel=_MACHINES)
    ] = None,
    task: Annotated[str | None, typer.Option(help="Tasks to match, likewise.", rich_help_panel=_MACHINES)] = None,
    after_seconds: Annotated[
        float | None,
        typer.Option(
            "--after", help="lost: time after registration, or from now (seconds).", rich_help_panel=_MACHINES
        ),
    ] = None,
    notice: Annotated[
        bool | None, typer.Option("--notice", help="lost: give a spot notice first.", rich_help_panel=_MACHINES)
    ] = None,
    notice_seconds: Annotated[
        float | None,
        typer.Option(
            help="lost: time from the notice to the loss (seconds).", show_default="120", rich_help_panel=_MACHINES
        ),
    ] = None,
    exit_code: Annotated[
        int | None, typer.Option(help="task-exits: exit code.", show_default="1", rich_help_panel=_MACHINES)
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="capacity: maximum number of instances.", show_default="0", rich_help_panel=_MACHINES),
    ] = None,
) -> None:
    # Options have the names of the rules' fields; the platform checks which of them a kind has.
    given = {name: value for name, value in context.params.items() if value is not None and name not in _NOT_OF_RULES}
    added = admin(directory).post("/admin/faults", given)
    if as_json:
        typer.echo(json.dumps(added, indent=2))
    else:
        typer.echo(f"{added['id']} is active; `raydog local fault clear {added['id']}` removes it")


_NOT_OF_RULES = ("directory", "as_json")
_add.__doc__ = f"""Add a fault. It is active until it is removed or has been applied --times times.

{_KINDS}

For example:

    raydog local fault add status --call "POST /work/**" --status 429 --retry-after 2 --times 3

    raydog local fault add apply-then-fail --call "POST /workerPools/provisioned/template" --nth 1

    raydog local fault add hang --call "GET /work/tasks" --times 1

    raydog local fault add delay --seconds 0.5 --probability 0.1 --seed 7

    raydog local fault add listing-lag --call "GET /workerPools/nodes" --seconds 30

    raydog local fault add never-registers --pool "ray-*" --nth 2

    raydog local fault add lost --pool "ray-*" --times 1 --notice --notice-seconds 30

    raydog local fault add task-exits --task "worker-*" --exit-code 137 --times 2

    raydog local fault add capacity --source local --limit 1

    raydog local fault add key-revoked
"""
app.command(name="add")(reports_errors(_add))


@app.command(name="list")
@reports_errors
def list_faults(directory: DirOption = default_directory(), as_json: JsonOption = False) -> None:  # noqa: B008
    """Show the active faults, and how often each was matched and applied.

    For example:

        raydog local fault list

        raydog local fault list --json
    """
    faults = admin(directory).get("/admin/faults")["faults"]
    if as_json:
        typer.echo(json.dumps(faults, indent=2))
        return
    if not faults:
        typer.echo("no faults; `raydog local fault add --help` lists the kinds")
        return
    table = Table("id", "kind", "rule", "matched", "applied", title="Faults", title_justify="left")
    for fault in faults:
        applied = f"{fault['applied']} (spent)" if fault["spent"] else str(fault["applied"])
        table.add_row(fault["id"], fault["rule"]["kind"], _fields(fault["rule"]), str(fault["matched"]), applied)
    console().print(table)


@app.command()
@reports_errors
def clear(
    fault: Annotated[
        str | None, typer.Argument(help="The fault's id; all faults without it.", show_default=False)
    ] = None,
    directory: DirOption = default_directory(),  # noqa: B008
) -> None:
    """Remove one fault or all. Effects that have taken place stay; hanging calls are served.

    For example:

        raydog local fault clear

        raydog local fault clear fault-2
    """
    client = admin(directory)
    if fault is None:
        client.delete("/admin/faults")
        typer.echo("all faults are removed")
    else:
        removed = client.delete(f"/admin/faults/{fault}")
        typer.echo(f"{fault} is removed; it was applied {removed['applied']} times")


def _fields(rule: dict[str, Any]) -> str:
    return "  ".join(f"{name}={value}" for name, value in rule.items() if name != "kind") or "-"
