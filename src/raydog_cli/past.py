"""`raydog events` and `raydog logs`: a cluster's past, read from YellowDog alone. Options and tables; no logic."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from raydog_cli.clusters import required
from raydog_cli.common import (
    NO_ACCESS,
    NOT_FOUND,
    ClusterArgument,
    JsonOption,
    NamespaceOption,
    fail,
    print_json,
    print_safe,
    reported_errors,
)
from raydog_cli.tables import show_table

if TYPE_CHECKING:
    from yellowdog_ray.inventory.events import NodeLog
    from yellowdog_ray.inventory.target import Found

FOLLOW_SECONDS = 5.0
"""Seconds between two readings of `raydog logs --follow`."""

_EVENT_COLUMNS = ("time (UTC)", "subject", "event")


def events(
    cluster: ClusterArgument,
    namespace: NamespaceOption = None,
    node: Annotated[str | None, typer.Option("--node", help="Only the events of this node.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what has happened to a cluster, oldest first, as far as YellowDog keeps it. Ended nodes are included.

    For example:

        raydog events my-cluster --namespace my-team

        raydog events raydog.yaml --node cpu-5b1d0e7a9c33
    """
    with reported_errors():
        from yellowdog_ray.inventory.account import Account
        from yellowdog_ray.inventory.events import read_events
        from yellowdog_ray.inventory.target import parse_target

        target = parse_target(cluster, namespace)
        found = required(Account(), target, as_json=as_json)
        timeline = read_events(found)
        shown = [event for event in timeline.events if node in (None, event.node)]
    if as_json:
        from raydog_cli.shapes import of_events

        print_json(of_events(shown, timeline.not_kept))
    else:
        rows = [[_time(event.time), event.subject, event.text] for event in shown]
        show_table(f"Events of cluster {found.name}", _EVENT_COLUMNS, rows, whole=("time (UTC)",))
        print_safe(f"not kept by YellowDog: {'; '.join(timeline.not_kept)}. See `ray monitor YAML`", err=True)
    if not shown:
        fail(f"YellowDog shows no event of node '{node}'", NOT_FOUND)


def logs(
    cluster: ClusterArgument,
    node: Annotated[str | None, typer.Argument(help="The node; by default those that failed.")] = None,
    namespace: NamespaceOption = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Continue, and show starts, errors and ends of tasks as they happen."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what YellowDog has of nodes' tasks: errors, exit codes, and where their output is.

    YellowDog keeps neither a task's output nor a machine's boot log, so --follow cannot show them. Both are on the
    machine until it is terminated. --follow ends with the node's task, with the cluster, or by Ctrl-C. Exit code 1 if
    YellowDog has nothing to show.

    For example:

        raydog logs my-cluster --namespace my-team

        raydog logs raydog.yaml head-1f0c9a42

        raydog logs raydog.yaml --follow
    """
    if follow and as_json:
        fail("--json shows one reading: leave out --follow, or use `raydog events --json` again", NO_ACCESS)
    with reported_errors():
        from yellowdog_ray.inventory.account import Account
        from yellowdog_ray.inventory.events import read_logs
        from yellowdog_ray.inventory.target import parse_target

        target = parse_target(cluster, namespace)
        found = required(Account(), target, as_json=as_json)
        if follow:
            with suppress(KeyboardInterrupt):  # the way to end it
                _follow(found, node)
            return
        shown = [log for log in read_logs(found) if (log.errors if node is None else log.node == node)]
    if as_json:
        from raydog_cli.shapes import of_logs

        print_json(of_logs(shown))
    else:
        for log in shown:
            _show(log)
    if not shown and node is None:
        print_safe(
            f"no node has failed, as far as YellowDog shows it. `raydog logs {cluster} NODE` shows where a node's "
            "output is, and `raydog status` the nodes",
            err=True,
        )
        raise typer.Exit(NOT_FOUND)
    if not shown:
        fail(f"YellowDog shows no node '{node}'", NOT_FOUND)


def _follow(found: Found, node: str | None) -> None:
    """Show the nodes with errors, or the named node, and then what changes."""
    from yellowdog_ray.errors import PlatformError
    from yellowdog_ray.inventory.following import Follower

    follower = Follower(found, node)
    for log in follower.logs:
        if log.errors or node is not None:
            _show(log)
    if node is not None and not follower.logs:
        print_safe(f"node '{node}' is not there yet", err=True)
    print_safe("YellowDog keeps no output of tasks: starts, errors and ends follow, until Ctrl-C", err=True)
    warned = ""
    while not follower.ended:
        time.sleep(FOLLOW_SECONDS)
        try:
            for change in follower.changes():
                moment = f"{_time(change.time)} UTC" if change.time else "-"
                print_safe(f"{moment}  {change.node} ({change.node_type}): {change.text}")
            warned = ""
        except PlatformError as error:
            if str(error) != warned:
                print_safe(f"warning: {error}", err=True)
            warned = str(error)


def _show(log: NodeLog) -> None:
    print_safe(f"node {log.node} ({log.node_type}): {log.status.lower()}")
    print_safe(f"  task      {log.task_id}")
    if log.started:
        print_safe(f"  started   {_time(log.started)} UTC")
    if log.ended:
        print_safe(f"  ended     {_time(log.ended)} UTC")
    for moment, text in log.errors:
        print_safe(f"  error     {f'{_time(moment)} UTC: ' if moment else ''}{text}")
    print_safe(f"  output    {_where(log)}")


def _where(log: NodeLog) -> str:
    if log.machine_alive is None:
        return "none: no machine has run it"
    if not log.machine_alive:
        return "gone with its machine"
    return f"on its machine, {log.output}; Ray's logs in /tmp/ray/session_latest/logs"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""
