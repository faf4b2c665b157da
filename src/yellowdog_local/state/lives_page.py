"""Draws lifecycles as a page of documentation: a diagram and a table of events for each. Independent of entities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

from yellowdog_local.state.lifecycle import Lifecycle

_HEAD = """\
# Lifecycles of the local platform

<!-- Generated: python -m yellowdog_local.state.lives > docs/development/lives.md -->

Each entity moves from status to status by the events of a table, `src/yellowdog_local/state/lives.py`.
`Lifecycle.move` refuses any other step with `UndeclaredStep`, which the API returns as an HTTP 500. This page is drawn
from the tables. `tests/yellowdog_local/state/test_lives.py` compares both, takes every declared step, and finds
assignments of a status beside `move`.

To change a lifecycle, edit its table, add a scenario that takes the step to that test, and generate this page again.
"""


def page(lifecycles: Sequence[Lifecycle[Any, Any]]) -> str:
    """The whole page, in Markdown."""
    return "\n".join([_HEAD, *("\n".join(_section(lifecycle)) for lifecycle in lifecycles)])


def _section(lifecycle: Lifecycle[Any, Any]) -> Iterator[str]:
    yield f"## {lifecycle.name}\n"
    yield from _diagram(lifecycle)
    yield "\n| event | meaning |"
    yield "|---|---|"
    yield from (f"| {event} | {meaning} |" for event, meaning in lifecycle.events.items())
    yield ""
    if lifecycle.unused:
        yield "Statuses of YellowDog that do not occur here:\n"
        yield from (f"- {_name(status)}: {reason}" for status, reason in lifecycle.unused.items())
        yield ""


def _diagram(lifecycle: Lifecycle[Any, Any]) -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield from (f"    [*] --> {_name(status)}: {condition}" for status, condition in lifecycle.first.items())
    # Several events may lead from one status to the same next one: one arrow for all of them.
    arrows: dict[tuple[Enum, Enum], list[str]] = {}
    for (status, event), after in lifecycle.steps.items():
        arrows.setdefault((status, after), []).append(event)
    yield from (f"    {_name(old)} --> {_name(new)}: {', '.join(events)}" for (old, new), events in arrows.items())
    yield from (f"    {_name(status)} --> [*]" for status in lifecycle.last)
    yield "```"


def _name(status: Enum) -> str:
    return status.name
