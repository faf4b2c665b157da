"""The published state and decisions of the head: read from YellowDog, without the head. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from yellowdog_ray import names
from yellowdog_ray.cluster.published import HeadState, PublishedDecision, decode
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.inventory.account import token_of
from yellowdog_ray.inventory.target import Found
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import WorkRequirementEntry, oldest_first

RECENT = timedelta(days=7)
"""How far back the last publication is searched for at first: a list of all may have many pages."""

MAX_PUBLICATIONS = 300
"""Publications that a history reads at most, the latest ones: three days of a cluster that changes all the time."""

MAX_TRIED = 3
"""How many of the latest publications are tried until one can be read."""


@dataclass(frozen=True)
class Decisions:
    """The published decisions of a cluster's head.

    Attributes:
        decisions: oldest first.
        omitted: how many the head left out, because a publication has a limit.
        unread: how many publications were not read: older ones, and those that cannot be.
        publications: how many were read.
    """

    decisions: tuple[PublishedDecision, ...]
    omitted: int
    unread: int
    publications: int


def read_state(found: Found) -> HeadState | None:
    """The last state that the head has published: two calls. None if it has published none that can be read.

    Raises:
        PlatformError: a call failed.
    """
    tag = names.state_tag(found.work.groups[0].worker_tag)
    entries = found.platform.documents(tag, since=found.platform.clock.now() - RECENT)
    created = found.work.created
    if not entries and (created is None or found.platform.clock.now() - created > RECENT):
        entries = found.platform.documents(tag)
    for entry in _latest(entries)[:MAX_TRIED]:
        state = _read(found, entry)
        if state is not None:
            return state
    return None


def read_decisions(found: Found) -> Decisions:
    """The decisions that the head has published: one call, and one for each publication.

    Raises:
        PlatformError: a call failed.
    """
    entries = _latest(found.platform.documents(names.state_tag(found.work.groups[0].worker_tag)))
    read = run_concurrently(partial(_read, found), entries[:MAX_PUBLICATIONS])
    states = [state for state in reversed(read) if state is not None]
    # A publication that was applied although its call failed is repeated, with the same decisions.
    distinct = {
        (each.time, each.act, each.node_type, tuple(each.nodes), each.text): each
        for state in states
        for each in state.decisions
    }
    return Decisions(
        decisions=tuple(sorted(distinct.values(), key=lambda each: each.time)),
        omitted=sum(state.omitted for state in states),
        unread=len(entries) - len(states),
        publications=len(states),
    )


def age(state: HeadState, now: datetime) -> timedelta:
    """How old a state is; one from the future, by a wrong clock, is new."""
    return max(timedelta(0), now - state.at)


def _latest(entries: Sequence[WorkRequirementEntry]) -> list[WorkRequirementEntry]:
    return sorted(entries, key=lambda entry: oldest_first(entry.created), reverse=True)


def _read(found: Found, entry: WorkRequirementEntry) -> HeadState | None:
    try:
        return decode(found.platform.document(entry.id), found.name, token_of(found.work))
    except PlatformError:
        return None  # one that cannot be read does not hide the others
