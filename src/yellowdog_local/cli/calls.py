"""The commands `raydog local calls` and `raydog local top`: tables of API calls and of the platform's state."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from yellowdog_local.cli.common import DirOption, JsonOption, admin, console, reports_errors, running
from yellowdog_local.cli.overview import Overview, OverviewReader
from yellowdog_local.service.admin_client import AdminClient
from yellowdog_local.service.directory import PlatformDirectory, default_directory

POLL_SECONDS = 0.5
ROWS = 30


@reports_errors
def calls(
    directory: DirOption = default_directory(),  # noqa: B008 (typer's form of a default)
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print each new call as it is made; Ctrl-C ends it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the number and duration of API calls per route.

    Counts start with the platform or the last `raydog local reset`; durations are of the last 100,000 calls. Calls of
    agents and of `raydog local` are not counted.

    For example:

        raydog local calls

        raydog local calls --follow

        raydog local calls --follow --json > calls.jsonl
    """
    client = admin(directory)
    if follow:
        with suppress(KeyboardInterrupt):  # the way to end --follow
            for call in _new_calls(client):
                typer.echo(json.dumps(call) if as_json else _line(call))
        return
    routes = client.get("/admin/calls/routes")["routes"]
    if as_json:
        typer.echo(json.dumps(routes, indent=2))
    elif routes:
        console().print(_routes(routes))
    else:
        typer.echo("no calls yet")


@reports_errors
def top(
    directory: DirOption = default_directory(),  # noqa: B008
    once: Annotated[bool, typer.Option("--once", help="Print the state once and exit.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Refresh interval (seconds).")] = 1.0,
) -> None:
    """Show pools, nodes and tasks, refreshed every second; Ctrl-C ends it.

    For example:

        raydog local top

        raydog local top --once
    """
    place = PlatformDirectory(directory)
    reader = OverviewReader(running(place).url, place.api_key())
    seen = reader.read()
    if once:
        console().print(picture(seen, None))
        return
    with suppress(KeyboardInterrupt), Live(picture(seen, None), console=console(), screen=True) as live:
        while True:
            before, began = seen.calls, time.monotonic()
            time.sleep(interval)
            seen = reader.read()
            rate = max(0, seen.calls - before) / (time.monotonic() - began)
            live.update(picture(seen, rate), refresh=True)


def _new_calls(client: AdminClient) -> Iterator[dict[str, Any]]:
    mark = client.get("/admin/calls/routes")["mark"]
    while True:
        answer = client.get("/admin/calls", since=mark)
        mark = answer["mark"]
        yield from answer["calls"]
        time.sleep(POLL_SECONDS)


def _line(call: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(call["wall"]).strftime("%H:%M:%S.%f")[:-3]
    status = call["status"] or "---"
    fault = f"  {call['fault']}" if call["fault"] else ""
    timing = f"{moment}  {status}  {call['milliseconds']:8.1f} ms"
    return f"{timing}  {call['agent']:7}  {call['method']} {call['path']}{fault}"


def _routes(routes: list[dict[str, Any]]) -> Table:
    table = Table(title="Calls", title_justify="left")
    table.add_column("route")
    for name in ("calls", "failed", "p50 ms", "p95 ms", "KiB in", "KiB out"):
        table.add_column(name, justify="right")
    for route in routes:
        table.add_row(
            f"{route['method']} {route['route']}",
            str(route["count"]),
            str(route["failed"] or "-"),
            f"{route['p50']:.1f}",
            f"{route['p95']:.1f}",
            f"{route['bytes_in'] / 1024:.0f}",
            f"{route['bytes_out'] / 1024:.0f}",
        )
    return table


def picture(seen: Overview, calls_per_second: float | None) -> Group:
    """The tables of `raydog local top`.

    Args:
        seen: the platform's state.
        calls_per_second: the rate of API calls since the last refresh; None if unknown.
    """
    rate = "" if calls_per_second is None else f" ({calls_per_second:.1f}/s)"
    head = Text(
        f"{seen.time[:19]}   {len(seen.hosts)} hosts   {seen.calls} calls{rate}   {seen.faults} active faults",
        style="bold",
    )
    return Group(head, _pools(seen), _nodes(seen), _work(seen))


def _pools(seen: Overview) -> Table:
    names = ("worker pool", "status", "nodes", "target", "booting", "workers", "working", "error")
    table = Table(*names, title="Worker pools", title_justify="left")
    for pool in seen.pools[:ROWS]:
        numbers = (str(pool[name]) for name in ("nodes", "target", "awaited", "workers", "working"))
        table.add_row(pool["name"], pool["status"], *numbers, pool["error"] or "-")
    return table


def _nodes(seen: Overview) -> Table:
    counts = ", ".join(f"{number} {name}" for name, number in seen.nodes.items()) or "none"
    table = Table("host", "worker pool", "status", "tasks", title=f"Platform nodes: {counts}", title_justify="left")
    for node in seen.live_nodes[:ROWS]:
        notes = [name for name in ("draining", "warned") if node[name]]
        status = f"{node['status']} ({', '.join(notes)})" if notes else node["status"]
        table.add_row(node["host"], node["pool"], status, ", ".join(node["tasks"]) or "-")
    if len(seen.live_nodes) > ROWS:
        table.caption = f"the first {ROWS}"
    return table


def _work(seen: Overview) -> Table:
    table = Table("work requirement", "task group", "status", "tasks", title="Work", title_justify="left")
    for group in seen.groups[:ROWS]:
        tasks = ", ".join(f"{number} {name}" for name, number in sorted(group["tasks"].items()))
        table.add_row(group["work"] or "-", group["group"] or "-", group["status"], tasks or "-")
    return table
