"""`raydog events` and `raydog logs`: a cluster's past, read from YellowDog alone. Options and tables; no logic."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from raydog_cli.clusters import required
from raydog_cli.common import (
    NOT_FOUND,
    ClusterArgument,
    JsonOption,
    NamespaceOption,
    fail,
    print_json,
    print_safe,
    reported_errors,
    show_table,
)

if TYPE_CHECKING:
    from yellowdog_ray.inventory.events import NodeLog

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
        from yellowdog_ray.inventory.events import LOST_WITH_HEAD, read_events
        from yellowdog_ray.inventory.target import parse_target

        target = parse_target(cluster, namespace)
        found = required(Account(), target)
        shown = [event for event in read_events(found) if node in (None, event.node)]
    if as_json:
        from raydog_cli.shapes import of_events

        print_json(of_events(shown, LOST_WITH_HEAD))
    else:
        rows = [[_time(event.time), event.subject, event.text] for event in shown]
        show_table(f"Events of cluster {found.name}", _EVENT_COLUMNS, rows)
        print_safe(f"not kept by YellowDog: {'; '.join(LOST_WITH_HEAD)}. See `ray monitor YAML`", err=True)
    if not shown:
        fail(f"YellowDog shows no event of node '{node}'", NOT_FOUND)


def logs(
    cluster: ClusterArgument,
    node: Annotated[str | None, typer.Argument(help="The node; by default those that failed.")] = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what YellowDog has of nodes' tasks: errors, exit codes, and where their output is. Exit code 1 without any.

    YellowDog keeps neither a task's output nor a machine's boot log. Both are on the machine until it is terminated.

    For example:

        raydog logs my-cluster --namespace my-team

        raydog logs raydog.yaml head-1f0c9a42
    """
    with reported_errors():
        from yellowdog_ray.inventory.account import Account
        from yellowdog_ray.inventory.events import read_logs
        from yellowdog_ray.inventory.target import parse_target

        target = parse_target(cluster, namespace)
        found = required(Account(), target)
        shown = [log for log in read_logs(found) if (log.errors if node is None else log.node == node)]
    if as_json:
        from raydog_cli.shapes import of_logs

        print_json(of_logs(shown))
    else:
        for log in shown:
            _show(log)
    if not shown:
        fail("YellowDog shows no failed node" if node is None else f"YellowDog shows no node '{node}'", NOT_FOUND)


def _show(log: NodeLog) -> None:
    print_safe(f"node {log.node} ({log.node_type}): {log.status.lower()}")
    print_safe(f"  task      {log.task_id}")
    if log.started:
        print_safe(f"  started   {_time(log.started)} UTC")
    if log.ended:
        print_safe(f"  ended     {_time(log.ended)} UTC")
    for time, text in log.errors:
        print_safe(f"  error     {_time(time)} UTC: {text}")
    print_safe(f"  output    {_where(log)}")


def _where(log: NodeLog) -> str:
    if log.machine_alive is None:
        return "none: no machine has run it"
    if not log.machine_alive:
        return "gone with its machine"
    return f"on its machine, {log.output}; Ray's logs in /tmp/ray/session_latest/logs"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""
