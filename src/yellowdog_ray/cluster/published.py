"""The state that a head publishes on the platform: the document, and the work requirements that hold it.

Each publication is a work requirement without tasks, which is cancelled as soon as it exists. It can provision nothing:
it has one task group, no task, and a worker tag that no pool has. The document is that task group's task template. It
stays readable as long as the platform keeps ended work requirements, without the head.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from yellowdog_ray import names
from yellowdog_ray.cluster.journal import Decision
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import WorkRequirementView
from yellowdog_ray.platform.values import is_plausible
from yellowdog_ray.redaction import redact

logger = logging.getLogger(__name__)

VERSION = 1
"""The version of the document. A later one may rename fields; a new field alone does not change it."""

MAX_BYTES = 16_384
"""Size of a document at most. YellowDog documents no limit; RayDog's own task scripts are of this size."""

MAX_READ_BYTES = 262_144
"""Size above which a document is not read: it is none of RayDog's."""

SHORT_TEXT = 100
"""Characters of a back-off's reason, and of a notice, in a document that would be too large with whole ones."""

IDLE_NOTICE = "idle"
"""The kind of the notice that announces the end of an idle cluster."""


def _plausible(time: datetime) -> datetime:
    """Refuse a time that no arithmetic with time zones and ages may meet."""
    if not is_plausible(time):
        raise ValueError("no plausible time")
    return time


Count = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[float, Field(ge=0, le=1e18)]
Time = Annotated[AwareDatetime, AfterValidator(_plausible)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True, allow_inf_nan=False, populate_by_name=True, alias_generator=to_camel
    )


class Shape(_Part):
    """A number of equal requests for resources; `labels` has Ray's selectors, such as `a`, `in(a,b)` or `!in(a,b)`."""

    resources: dict[str, Amount]
    labels: dict[str, str] = Field(default_factory=dict)
    count: Count = 1


class NodeTypeState(_Part):
    """One node type: its limits, its labels in the YAML, and its nodes that have joined. None: unknown."""

    max_workers: Count | None = None
    min_workers: Count = 0
    resources: dict[str, Amount] = Field(default_factory=dict)
    labels: dict[str, str] | None = None
    alive: Count | None = None
    idle: Count | None = None
    longest_idle_seconds: Amount | None = None


class BackOffState(_Part):
    """A node type after failed launches; `until` is the time of the next try, which may be over."""

    node_type: str
    code: str
    reason: str
    failures: Count
    until: Time


class Notice(_Part):
    """An announcement, such as the end of an idle cluster; `at` is the time of what it announces."""

    kind: str
    text: str
    at: Time | None = None


class PublishedDecision(_Part):
    """A decision of the autoscaler; for the fields see `journal.Decision`."""

    time: Time
    act: str
    node_type: str = ""
    count: Count = 0
    nodes: list[str] = Field(default_factory=list)
    code: str = ""
    text: str = ""


class HeadState(_Part):
    """The document.

    Attributes:
        at: the platform's time of the publication.
        started: when this process of the autoscaler began.
        max_workers: the cluster's limit.
        demand: what waits in Ray for resources; None if Ray did not answer.
        gangs: how many placement groups wait.
        requested: what `request_resources()` demands.
        decisions: the decisions since the last publication, oldest first.
        omitted: how many older decisions since then it leaves out.
    """

    version: int
    cluster: str
    head: str
    at: Time
    started: Time
    autoscaler: str = ""
    max_workers: Count | None = None
    idle_timeout_minutes: Amount | None = None
    node_types: dict[str, NodeTypeState] = Field(default_factory=dict)
    demand: list[Shape] | None = None
    gangs: Count = 0
    requested: list[Shape] = Field(default_factory=list)
    back_offs: list[BackOffState] = Field(default_factory=list)
    notices: list[Notice] = Field(default_factory=list)
    decisions: list[PublishedDecision] = Field(default_factory=list)
    omitted: Count = 0


def idle_end(state: HeadState) -> datetime | None:
    """The announced end of the idle cluster; None without one."""
    return next((notice.at for notice in state.notices if notice.kind == IDLE_NOTICE), None)


def encode(state: HeadState, decisions: Sequence[Decision], dropped: int, most: int = MAX_BYTES) -> str:
    """The document of a state and of the decisions before it, without the oldest ones if it is too large.

    Args:
        state: the state.
        decisions: the decisions, oldest first.
        dropped: how many decisions before them were dropped.
        most: the size in bytes. A state that alone is larger loses its node types' resources, the ends of its texts,
            and then all but a few of its parts.
    """
    shown = [_published(decision) for decision in decisions]
    for candidate in _ever_smaller(state):
        base = candidate.model_copy(update={"omitted": dropped + len(shown)})
        room = most - len(_json(base).encode())
        if room > 0:
            break
    kept: list[PublishedDecision] = []
    for decision in reversed(shown):
        room -= len(_json(decision).encode()) + 1
        if room < 0:
            break
        kept.insert(0, decision)
    omitted = dropped + len(shown) - len(kept)
    return redact(_json(base.model_copy(update={"decisions": kept, "omitted": omitted})))


def _ever_smaller(state: HeadState) -> Iterator[HeadState]:
    """The state, then with ever less of it. The last one has nothing whose size depends on the cluster."""
    yield state
    types = {
        name: kind.model_copy(update={"resources": {}, "labels": None})
        for name, kind in list(state.node_types.items())[:50]
    }
    state = state.model_copy(update={"node_types": types})
    yield state
    # Redacted before they are cut: a part of a secret would not be found any more.
    back_offs = [each.model_copy(update={"reason": redact(each.reason)[:SHORT_TEXT]}) for each in state.back_offs]
    notices = [each.model_copy(update={"text": redact(each.text)[:SHORT_TEXT]}) for each in state.notices]
    state = state.model_copy(update={"back_offs": back_offs, "notices": notices})
    yield state
    state = state.model_copy(update={"node_types": {}, "demand": (state.demand or [])[:1], "requested": []})
    while back_offs or notices:
        yield state
        back_offs, notices = back_offs[: len(back_offs) // 2], notices[: len(notices) // 2]
        state = state.model_copy(update={"back_offs": back_offs, "notices": notices})
    yield state
    yield state.model_copy(update={"demand": None})


def _json(part: _Part) -> str:
    return part.model_dump_json(by_alias=True, exclude_defaults=True)


def _published(decision: Decision) -> PublishedDecision:
    return PublishedDecision(
        time=decision.time,
        act=decision.act.value,
        node_type=decision.node_type,
        count=decision.count,
        nodes=list(decision.nodes),
        code=decision.code,
        text=decision.text,
    )


def decode(text: str, cluster: str, token: str) -> HeadState | None:
    """The state that a document holds; None if it is none of this incarnation's, or cannot be read.

    Everybody who may create work requirements can write such a document: it is checked, and decides nothing.
    """
    if len(text) > MAX_READ_BYTES:
        return None
    try:
        state = HeadState.model_validate_json(text)
    except (ValidationError, ValueError, RecursionError):
        return None
    is_own = (state.version, state.cluster, state.head) == (VERSION, cluster, names.head_id(token))
    return state if is_own else None


def end_publications(platform: Platform, work: WorkRequirementView) -> None:
    """Cancel the publications of one incarnation that its head could not cancel: one call, and one for each.

    They can run nothing and cost nothing, so a failure is only logged.
    """
    tag = work.groups[0].worker_tag
    try:
        for entry in platform.documents(names.state_tag(tag), finished=False):
            platform.cancel_work_requirement(entry.id)
    except PlatformError as error:
        logger.warning("a record of the cluster's state may be left on YellowDog, which runs nothing: %s", error)
