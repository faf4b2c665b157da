"""`raydog local fault`: adds, lists and lifts faults of the running platform. Words and prints; decides nothing."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from yellowdog_local.cli.common import DirOption, JsonOption, admin, console, says_errors
from yellowdog_local.cli.fault_kinds import KINDS
from yellowdog_local.service.directory import default_directory

app = typer.Typer(
    name="fault",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Faults by rule: calls that fail, machines that die, clouds without capacity, a key that is revoked.

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
    kind: Annotated[str, typer.Argument(help="One of the kinds above.", show_default=False)],
    directory: DirOption = default_directory(),  # noqa: B008 (how typer takes a default)
    as_json: JsonOption = False,
    nth: Annotated[
        int | None, typer.Option(help="Spare all before the n-th that matches; then strikes once unless --times.")
    ] = None,
    times: Annotated[int | None, typer.Option(help="Strike at most so often (always).")] = None,
    probability: Annotated[float | None, typer.Option(help="Strike each with this probability, 0 to 1.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the probability (0).")] = None,
    call: Annotated[
        str | None,
        typer.Option(help="Which calls: 'POST /work/taskGroups/*/tasks', 'GET /work/**' ...", rich_help_panel=_CALLS),
    ] = None,
    status: Annotated[int | None, typer.Option(help="The HTTP status to answer.", rich_help_panel=_CALLS)] = None,
    error_type: Annotated[
        str | None, typer.Option(help="The platform's errorType; without it, as a gateway.", rich_help_panel=_CALLS)
    ] = None,
    message: Annotated[
        str | None, typer.Option(help="What the answer, or the cloud, says.", rich_help_panel=_CALLS)
    ] = None,
    retry_after_seconds: Annotated[
        int | None, typer.Option("--retry-after", help="Header Retry-After (seconds).", rich_help_panel=_CALLS)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="How long to delay, or lists to lag (seconds).", rich_help_panel=_CALLS)
    ] = None,
    applied: Annotated[
        bool | None, typer.Option("--applied", help="hang: serve the call all the same.", rich_help_panel=_CALLS)
    ] = None,
    pool: Annotated[
        str | None, typer.Option(help="Which worker pools, by name, with * and ?.", rich_help_panel=_MACHINES)
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Which compute sources, likewise.", rich_help_panel=_MACHINES)
    ] = None,
    task: Annotated[str | None, typer.Option(help="Which tasks, likewise.", rich_help_panel=_MACHINES)] = None,
    after_seconds: Annotated[
        float | None,
        typer.Option("--after", help="lost: time from registration, or from now (seconds).", rich_help_panel=_MACHINES),
    ] = None,
    notice: Annotated[
        bool | None, typer.Option("--notice", help="lost: warn of the preemption first.", rich_help_panel=_MACHINES)
    ] = None,
    notice_seconds: Annotated[
        float | None, typer.Option(help="lost: time between warning and loss (120).", rich_help_panel=_MACHINES)
    ] = None,
    exit_code: Annotated[
        int | None, typer.Option(help="task-exits: with which code.", rich_help_panel=_MACHINES)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="capacity: instances there can be at once (0).", rich_help_panel=_MACHINES)
    ] = None,
) -> None:
    # The options bear the names of the rules' fields; which of them a kind takes, the platform says.
    given = {name: value for name, value in context.params.items() if value is not None and name not in _NOT_OF_RULES}
    added = admin(directory).post("/admin/faults", given)
    if as_json:
        typer.echo(json.dumps(added, indent=2))
    else:
        typer.echo(f"{added['id']} is in force; `raydog local fault clear {added['id']}` lifts it")


_NOT_OF_RULES = ("directory", "as_json")
_add.__doc__ = f"""Add a fault. It strikes until it is lifted, or has struck as often as it should.

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
app.command(name="add")(says_errors(_add))


@app.command(name="list")
@says_errors
def list_faults(directory: DirOption = default_directory(), as_json: JsonOption = False) -> None:  # noqa: B008
    """Show the faults in force, and how often each has struck.

    For example:

        raydog local fault list

        raydog local fault list --json
    """
    faults = admin(directory).get("/admin/faults")["faults"]
    if as_json:
        typer.echo(json.dumps(faults, indent=2))
        return
    if not faults:
        typer.echo("no faults; `raydog local fault add --help` shows which there are")
        return
    table = Table("id", "kind", "rule", "matched", "struck", title="Faults", title_justify="left")
    for fault in faults:
        struck = f"{fault['struck']} (spent)" if fault["spent"] else str(fault["struck"])
        table.add_row(fault["id"], fault["rule"]["kind"], _words(fault["rule"]), str(fault["seen"]), struck)
    console().print(table)


@app.command()
@says_errors
def clear(
    fault: Annotated[str | None, typer.Argument(help="One fault's id; without it, all.", show_default=False)] = None,
    directory: DirOption = default_directory(),  # noqa: B008
) -> None:
    """Lift one fault, or all of them. What a fault has done stays done; calls that hang are served.

    For example:

        raydog local fault clear

        raydog local fault clear fault-2
    """
    client = admin(directory)
    if fault is None:
        client.delete("/admin/faults")
        typer.echo("no faults are in force")
    else:
        lifted = client.delete(f"/admin/faults/{fault}")
        typer.echo(f"{fault} is lifted; it struck {lifted['struck']} times")


def _words(rule: dict[str, Any]) -> str:
    return "  ".join(f"{name}={value}" for name, value in rule.items() if name != "kind") or "-"
