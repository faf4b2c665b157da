"""`raydog list` and `raydog status`: what runs, read from YellowDog alone. Options and tables; no logic."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from raydog_cli.common import (
    JSON_INDENT,
    NOT_FOUND,
    ClusterArgument,
    JsonOption,
    NamespaceOption,
    counts,
    cut,
    fail,
    format_age,
    format_duration,
    print_json,
    print_safe,
    reported_errors,
)
from raydog_cli.tables import print_words, show_table

if TYPE_CHECKING:
    from datetime import datetime

    from yellowdog_ray.cluster.published import HeadState
    from yellowdog_ray.inventory.account import Account
    from yellowdog_ray.inventory.status import ClusterStatus
    from yellowdog_ray.inventory.summaries import ClusterSummary, Summaries
    from yellowdog_ray.inventory.target import Found, Target

WATCH_SECONDS = 5.0
"""Seconds between two readings of `raydog status --watch`."""

_LIST_COLUMNS = ("cluster", "namespace", "state", "age", "lifetime left", "idle end", "nodes", "created by")
_NODE_COLUMNS = ("node", "type", "phase", "age", "machine", "market", "address", "reason")
_BACK_OFF_COLUMNS = ("type", "next try", "failed launches", "code", "reason")
_POOL_COLUMNS = ("pool", "type", "status", "instances", "messages")


def list_clusters(namespace: NamespaceOption = None, as_json: JsonOption = False) -> None:
    """List the clusters that are alive. Exit code 1 if there is none, or if a part could not be read.

    For example:

        raydog list

        raydog list --namespace my-team --json
    """
    with reported_errors():
        from yellowdog_ray.inventory.account import Account
        from yellowdog_ray.inventory.summaries import creator_names, read_summaries

        account = Account()
        summaries = read_summaries(account, namespace)
        creators = creator_names(account, summaries.clusters)
    if as_json:
        from raydog_cli.shapes import of_summaries

        print_json(of_summaries(summaries, creators))
    else:
        _show_summaries(summaries, creators, namespace)
    if not summaries.clusters or summaries.unreadable:
        raise typer.Exit(NOT_FOUND)


def _show_summaries(summaries: Summaries, creators: dict[str, str], namespace: str | None) -> None:
    if summaries.clusters:
        rows = [_row(cluster, summaries, creators) for cluster in summaries.clusters]
        least = ("created by", "idle end", "age", "lifetime left", "namespace")
        show_table("Clusters", _LIST_COLUMNS, rows, whole=("cluster", "namespace", "state"), least=least)
    else:
        where = f" in namespace '{namespace}'" if namespace else ""
        print_safe(f"no cluster is alive{where}", err=True)
    for reason in summaries.unreadable:
        print_safe(f"warning: not read, and it may be a cluster: {reason}", err=True)
    if summaries.unread_idle_ends:
        print_safe(
            f"warning: announced ends of idle clusters could not be read: {summaries.unread_idle_ends}", err=True
        )
    if summaries.unowned:
        number = len(summaries.unowned)
        print_safe(
            f"warning: {number} compute requirement(s) with names like RayDog's belong to no living cluster "
            f"({', '.join(summaries.unowned)}): `raydog gc --dry-run` examines them",
            err=True,
        )


def _row(cluster: ClusterSummary, summaries: Summaries, creators: dict[str, str]) -> list[str]:
    now = summaries.read_at
    return [
        cluster.name,
        cluster.namespace,
        cluster.state.value,
        format_age(cluster.work.created, now),
        format_duration(cluster.deadline - now) if cluster.deadline else "",
        f"in {format_duration(cluster.idle_end - now)}" if cluster.idle_end else "",
        _nodes(cluster),
        creators.get(cluster.creator or "") or cluster.creator or "",
    ]


def _nodes(cluster: ClusterSummary) -> str:
    """The live nodes by type and state, such as `head: 1 running; cpu: 2 running, 1 pending`."""
    parts: dict[str, dict[str, int]] = {}
    for of_type in cluster.node_types:
        numbers = parts.setdefault(of_type.node_type, {"running": 0, "pending": 0})
        numbers["running"] += of_type.running
        numbers["pending"] += of_type.pending
    return "; ".join(f"{node_type}: {shown}" for node_type, numbers in parts.items() if (shown := counts(numbers)))


def show_status(
    cluster: ClusterArgument,
    namespace: NamespaceOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Repeat until Ctrl-C; with --json one object a line.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a cluster's nodes and pools, without SSH and without its head. Exit code 1 if there is no such cluster.

    For example:

        raydog status raydog.yaml

        raydog status my-cluster --namespace my-team --watch
    """
    with reported_errors():
        from yellowdog_ray.inventory.account import Account
        from yellowdog_ray.inventory.target import parse_target

        target = parse_target(cluster, namespace)
        account = Account()
        with suppress(KeyboardInterrupt):  # the way to end --watch
            _show_once(account, target, as_json=as_json, watch=watch)
            if watch:
                _watch(account, target, as_json=as_json)


def _watch(account: Account, target: Target, *, as_json: bool) -> None:
    """Repeat the reading, also after a failed one: YellowDog may answer again."""
    from yellowdog_ray.errors import PlatformError

    warned = ""
    while True:
        time.sleep(WATCH_SECONDS)
        try:
            _show_once(account, target, as_json=as_json, watch=True)
            warned = ""
        except PlatformError as error:
            if str(error) != warned:
                print_safe(f"warning: not read, and tried again: {error}", err=True)
            warned = str(error)


def _show_once(account: Account, target: Target, *, as_json: bool, watch: bool) -> None:
    found = required(account, target, meanwhile="yellowdog_ray.inventory.status", as_json=as_json)
    from yellowdog_ray.inventory.status import read_status

    status = read_status(found)
    if as_json:
        from raydog_cli.shapes import of_status

        print_json(of_status(status, {}), indent=None if watch else JSON_INDENT)
        return
    if watch:
        from rich.console import Console

        Console().clear()
    _show_status(status)


def required(
    account: Account, target: Target, *, meanwhile: str = "yellowdog_ray.inventory.target", as_json: bool = False
) -> Found:
    """The cluster of a target; without one the command ends with exit code 1.

    Args:
        account: the account.
        target: the target.
        meanwhile: the module of the command's next step, which is imported while YellowDog answers.
        as_json: print an object with the error.
    """
    from yellowdog_ray.inventory.target import find

    with ThreadPoolExecutor(1) as background:
        finding = background.submit(find, account, target)
        import_module(meanwhile)
        found = finding.result()
    if found is None:
        message = (
            f"YellowDog shows no cluster '{target.name}' in namespace '{target.namespace}' to this key"
            if target.namespace
            else f"YellowDog shows no living cluster '{target.name}' to this key: to find an ended one, add --namespace"
        )
        if as_json:
            print_json({"error": message})
        fail(message, NOT_FOUND)
    return found


def _show_status(status: ClusterStatus) -> None:
    cluster, now = status.cluster, status.read_at
    left = (
        f", lifetime left {format_duration(cluster.deadline - now)}"
        if cluster.deadline and not cluster.work.finished
        else ""
    )
    print_words(
        f"cluster {cluster.name} in namespace {cluster.namespace}: {cluster.state.value}, "
        f"created {format_age(cluster.work.created, now)} ago{left}"
    )
    if status.nodes:
        least = ("market", "machine", "type", "age", "address")
        show_table("Nodes", _NODE_COLUMNS, _node_rows(status), whole=("node", "phase", "address"), least=least)
    if status.pools:
        pools = [
            [pool.name, pool.node_type, pool.status.lower(), counts(pool.instances), cut("; ".join(pool.messages))]
            for pool in status.pools
        ]
        show_table("Worker pools", _POOL_COLUMNS, pools, whole=("pool", "status"), least=("type", "instances"))
    if status.head and not cluster.work.finished:
        _show_published(status.head, now)
    for line in _notes(status):
        print_safe(line, err=True)


def _show_published(head: HeadState, now: datetime) -> None:
    """Back-offs and announcements, as old as the head's last publication."""
    ago = format_duration(now - head.at)
    if head.back_offs:
        rows = [
            [each.node_type, _next_try(each.until, now), str(each.failures), each.code, cut(each.reason)]
            for each in head.back_offs
        ]
        title = f"Back-offs (published by the head {ago} ago)"
        show_table(title, _BACK_OFF_COLUMNS, rows, whole=("type", "code"), least=("failed launches",))
    for notice in head.notices:
        print_safe(f"announced by the head {ago} ago: {notice.text}")


def _next_try(until: datetime, now: datetime) -> str:
    return f"in {format_duration(until - now)}" if until > now else "now, if Ray still needs one"


def _node_rows(status: ClusterStatus) -> list[list[str]]:
    rows = []
    for node in status.nodes:
        machine = node.machine
        rows.append(
            [
                node.id,
                node.node_type,
                node.phase,
                format_duration(status.read_at - node.started) if node.started else "",
                (machine.instance_type or "") if machine else "",
                _market(machine.spot if machine else None),
                (machine.public_ip or machine.private_ip or "") if machine else "",
                cut(node.reason),
            ]
        )
    return rows


def _market(spot: bool | None) -> str:
    return "" if spot is None else "spot" if spot else "on demand"


def _notes(status: ClusterStatus) -> list[str]:
    from yellowdog_ray.inventory.head_report import age
    from yellowdog_ray.inventory.idle_ends import MOST_AGE
    from yellowdog_ray.inventory.status import unknown_without_head

    notes = []
    if status.unlisted > 0:
        notes.append(f"note: YellowDog counts {status.unlisted} more node(s) than it lists: read again in a moment")
    if status.copies:
        notes.append(f"note: tasks that are no nodes, copied or added by hand: {', '.join(status.copies)}")
    if status.head_failure:
        notes.append(f"note: what the head has published could not be read: {status.head_failure}")
    elif status.head:
        doubt = "; they may be over" if age(status.head, status.read_at) > MOST_AGE else ""
        notes.append(f"back-offs and announcements: as published by the head at {status.head.at:%H:%M:%S} UTC{doubt}")
    if unknown := unknown_without_head(status):
        notes.append(f"only the head can report: {'; '.join(unknown)}. Run `ray exec YAML 'ray status -v'`")
    return notes
