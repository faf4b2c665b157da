"""`raydog down` and `raydog gc`: both show what they remove, and request confirmation. Options and tables; no logic."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from raydog_cli.clusters import required
from raydog_cli.common import (
    NO_ACCESS,
    NOT_FOUND,
    ClusterArgument,
    JsonOption,
    NamespaceOption,
    YesOption,
    checked_namespace,
    counts,
    fail,
    format_age,
    format_duration,
    print_json,
    print_safe,
    reported_errors,
)
from raydog_cli.tables import show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yellowdog_ray.inventory.account import Account
    from yellowdog_ray.inventory.leftovers import Leftover, Leftovers, Removal
    from yellowdog_ray.inventory.target import Found

_COLUMNS = ("cluster", "work requirement", "status", "worker pools", "instances", "youngest part", "why")


def down(cluster: ClusterArgument, namespace: NamespaceOption = None, yes: YesOption = False) -> None:
    """End a cluster, as `ray down` does, without its YAML.

    Exit code 1 if there is no such cluster, if it had ended before, or if a part remains.

    For example:

        raydog down my-cluster --namespace my-team
    """
    with reported_errors():
        from yellowdog_ray.commands.progress import Progress
        from yellowdog_ray.inventory.account import PATIENT_RETRY_SECONDS, Account
        from yellowdog_ray.inventory.ending import end, require_newest
        from yellowdog_ray.inventory.target import parse_target, require_certain

        target = parse_target(cluster, namespace)
        account = Account(PATIENT_RETRY_SECONDS)
        found = required(account, target)
        print_safe(_introduction(found))
        if yes:
            require_certain(account, target)
        else:
            typer.confirm("End it, with its head and all its workers?", abort=True, err=True)
            require_newest(found)
        progress = Progress()
        progress.report(end(found, progress))


def _introduction(found: Found) -> str:
    work = found.work
    live = sum(group.counts.live for group in work.groups if group.counts)
    age = format_age(work.created, found.platform.clock.now())
    return (
        f"cluster {found.name} in namespace {found.platform.namespace}: {live} node(s), created {age} ago, "
        f"work requirement {work.name} ({work.status})"
    )


def gc(
    namespace: Annotated[
        str,
        typer.Option("--namespace", "-n", help="The namespace.", show_default=False, callback=checked_namespace),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what RayDog has created in a namespace and no living cluster owns. Exit code 1 if a part remains.

    It never removes what is younger than 10 minutes, or what RayDog has not provably created.

    For example:

        raydog gc --namespace my-team --dry-run
    """
    if as_json and not (dry_run or yes):
        fail("--json cannot prompt: add --dry-run or --yes", NO_ACCESS)
    with reported_errors():
        from yellowdog_ray.commands.progress import Progress
        from yellowdog_ray.inventory.account import PATIENT_RETRY_SECONDS, Account
        from yellowdog_ray.inventory.leftovers import read_leftovers, remove

        account = Account(PATIENT_RETRY_SECONDS)
        leftovers = read_leftovers(account, namespace)
        _note_missing_namespace(account, leftovers, namespace)
        if not as_json:
            _show(leftovers, namespace)
        removals: Sequence[Removal] = ()
        if leftovers.old and not dry_run:
            if not yes:
                typer.confirm(f"Remove the {len(leftovers.old)} listed?", abort=True, err=True)
            removals = remove(account.within(namespace), leftovers.old, Progress(sys.stderr))
    if as_json:
        from raydog_cli.shapes import of_leftovers

        print_json(of_leftovers(leftovers, removals))
    else:
        _show_removals(removals, namespace)
    _show_errors(leftovers, removals)
    if leftovers.unread or not all(one.removed for one in removals):
        raise typer.Exit(NOT_FOUND)


def _show_errors(leftovers: Leftovers, removals: Sequence[Removal]) -> None:
    for one in removals:
        if one.failure:
            print_safe(f"error: cluster {one.leftover.cluster}: {one.failure}", err=True)
    if revived := [one.leftover.cluster for one in removals if one.revived]:
        print_safe(f"error: used by a living head, and left alone: {', '.join(revived)}", err=True)
    for reason in leftovers.unread:
        print_safe(f"error: not read, and left alone: {reason}", err=True)


def _note_missing_namespace(account: Account, leftovers: Leftovers, namespace: str) -> None:
    """A wrong namespace must not look like a clean one."""
    is_empty = not (leftovers.old or leftovers.young or leftovers.unproven or leftovers.unread)
    if is_empty and account.lacks(namespace):
        print_safe(f"note: this key can read no namespace '{namespace}': check the name", err=True)


def _show_removals(removals: Sequence[Removal], namespace: str) -> None:
    from yellowdog_ray.commands.teardown import outcome

    removed = [one for one in removals if one.removed]
    for one in removed:
        if one.unseen:
            print_safe(outcome(one.leftover.cluster, namespace, found=True, unseen=one.unseen))
    if certain := [one for one in removed if not one.unseen]:
        print_safe(f"removed: nothing is left of {len(certain)} cluster(s)")


def _show(leftovers: Leftovers, namespace: str) -> None:
    if leftovers.old:
        rows = [_row(one, leftovers) for one in leftovers.old]
        least = ("work requirement", "youngest part", "instances")
        show_table("Leftovers", _COLUMNS, rows, whole=("cluster", "status"), least=least)
    else:
        print_safe(f"nothing to remove in namespace {namespace}")
    for one in leftovers.young:
        print_safe(
            f"note: cluster {one.cluster} is left alone, because {_youth(one, leftovers)}: {one.reason}", err=True
        )
    if leftovers.unproven:
        print_safe(
            "note: left alone, because YellowDog shows no work requirement that proves them RayDog's: "
            f"{', '.join(leftovers.unproven)}. If they are yours, end them in YellowDog's portal",
            err=True,
        )


def _youth(one: Leftover, leftovers: Leftovers) -> str:
    if not leftovers.is_dated:
        return "YellowDog's answers show no time, so its age is unknown"
    if one.youngest is None:
        return "YellowDog does not show the age of a part of it"
    return f"a part of it is {format_duration(leftovers.read_at - one.youngest)} old"


def _row(one: Leftover, leftovers: Leftovers) -> list[str]:
    pools = {pool.name for pool in one.pools} | {compute.name for compute in one.computes}
    return [
        one.cluster,
        one.work.name,
        one.work.status.lower(),
        ", ".join(sorted(pools)),
        counts({"alive": one.instances}),
        format_duration(leftovers.read_at - one.youngest) if one.youngest else "",
        one.reason,
    ]
