"""`raydog why`: why a cluster does not grow or shrink, read from YellowDog alone. Options and text; no logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raydog_cli.clusters import required
from raydog_cli.common import (
    NOT_FOUND,
    ClusterArgument,
    JsonOption,
    NamespaceOption,
    fail,
    format_duration,
    print_json,
    print_safe,
    reported_errors,
)

if TYPE_CHECKING:
    from yellowdog_ray.inventory.facts import Facts
    from yellowdog_ray.inventory.why import Answer

MAX_SHOWN = 3
"""Shapes of Ray's demand that the first line shows."""


def why(cluster: ClusterArgument, namespace: NamespaceOption = None, as_json: JsonOption = False) -> None:
    """Explain why a cluster does not grow or does not shrink: each cause with its evidence and its remedy.

    It joins the head's last published state (waiting demand, limits, back-offs) with YellowDog's current state (tasks,
    worker pools, machines, errors of the cloud). It needs neither SSH nor the head, and changes nothing.

    Numbered findings need an action. Findings with a dash end by themselves, or are intended. Exit code 0 if there is
    an answer, also if nothing is wrong. Exit code 1 if there is no such cluster, or if a part could not be read.

    For example:

        raydog why raydog.yaml

        raydog why my-cluster --namespace my-team --json
    """
    with reported_errors():
        from yellowdog_ray.inventory.account import Account
        from yellowdog_ray.inventory.target import parse_target

        target = parse_target(cluster, namespace)
        found = required(Account(), target, meanwhile="yellowdog_ray.inventory.why", as_json=as_json)
        from yellowdog_ray.inventory.why import explain

        answer = explain(found)
    if as_json:
        from raydog_cli.shapes import of_answer

        print_json(of_answer(answer))
    else:
        _show(answer)
    if answer.facts.unread:
        fail(f"{len(answer.facts.unread)} part(s) could not be read: a cause may be missing", NOT_FOUND)


def _show(answer: Answer) -> None:
    from yellowdog_ray.inventory.summaries import state_of

    facts = answer.facts
    print_safe(
        f"cluster {facts.name} in namespace {facts.namespace}: {state_of(facts.work, facts.now).value}, "
        f"{len(facts.workers)} worker(s){_demand(facts)}"
    )
    if not answer.troubles:
        sources = "YellowDog shows" if facts.doubt else "YellowDog and the head show"
        print_safe(f"nothing is wrong, as far as {sources} it")
    for number, finding in enumerate(answer.findings, 1):
        mark = f"{number}." if finding.is_trouble else "-"
        print_safe(f"{mark} {finding.cause} [{finding.code}]")
        for line in finding.evidence:
            print_safe(f"     {line}")
        print_safe(f"     remedy: {finding.remedy}")
    for reason in answer.not_read:
        print_safe(f"not checked: {reason}", err=True)


def _demand(facts: Facts) -> str:
    from yellowdog_ray.inventory.findings import amounts

    state = facts.state
    if state is None or state.demand is None or not facts.is_head_up:
        return ""
    shapes = [f"{shape.count} x {amounts(shape.resources)}" for shape in state.demand[:MAX_SHOWN]]
    more = len(state.demand) - MAX_SHOWN
    waits = ", ".join(shapes) + (f" and {more} more shapes" if more > 0 else "") if shapes else "nothing"
    doubt = ", which may be over" if facts.doubt else ""
    return f"; waiting in Ray {format_duration(facts.now - state.at)} ago{doubt}: {waits}"
