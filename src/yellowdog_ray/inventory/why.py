"""`raydog why`: the findings about one cluster, the troubles first. Changes nothing, and needs no head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from yellowdog_ray.inventory import findings as platform
from yellowdog_ray.inventory import limit_findings as published
from yellowdog_ray.inventory.early_end_findings import early_end_findings
from yellowdog_ray.inventory.facts import CLOCK_STEPS, Facts, gather
from yellowdog_ray.inventory.findings import Finding, Rule
from yellowdog_ray.inventory.head_report import age
from yellowdog_ray.inventory.target import Found

RULES: tuple[Rule, ...] = (
    platform.work_findings,
    platform.head_findings,
    platform.machine_findings,
    platform.lifetime_findings,
    published.back_off_findings,
    early_end_findings,
    platform.source_findings,
    platform.pool_findings,
    published.demand_findings,
    published.joining_findings,
    platform.ending_findings,
    published.shrink_findings,
    published.notice_findings,
)
"""All rules, those that stop everything first."""

_OF_THE_HEAD = frozenset(
    {
        published.back_off_findings,
        published.demand_findings,
        published.joining_findings,
        published.shrink_findings,
        published.notice_findings,
    }
)
"""The rules that judge what the head has published last."""

FRESH = timedelta(minutes=2)
"""Age up to which a published state is reported as the present one: the head publishes a first change in seconds."""


@dataclass(frozen=True)
class Answer:
    """The findings about a cluster.

    Attributes:
        findings: the troubles, then states that pass by themselves or are intended.
        not_read: what could not be read, and why.
    """

    facts: Facts
    findings: tuple[Finding, ...]
    not_read: tuple[str, ...]

    @property
    def troubles(self) -> int:
        """How many findings need a hand."""
        return sum(finding.is_trouble for finding in self.findings)


def explain(found: Found) -> Answer:
    """Why a cluster does not grow or shrink: five calls, and at most one for each worker pool."""
    facts = gather(found)
    return Answer(facts, judge(facts), facts.unread + _not_published(facts))


def judge(facts: Facts) -> tuple[Finding, ...]:
    """The findings of all rules. No call."""
    found = [_dated(facts, finding) if rule in _OF_THE_HEAD else finding for rule in RULES for finding in rule(facts)]
    return tuple(sorted(found, key=lambda finding: not finding.is_trouble))


def _dated(facts: Facts, finding: Finding) -> Finding:
    """A finding about a published state that may be over, with the state's time in its first sentence."""
    state = facts.state
    if state is None or (age(state, facts.now) <= FRESH and not _has_changed_since(facts, state.at)):
        return finding
    ago = age(state, facts.now)
    shown = f"{ago // timedelta(minutes=1)} min" if ago >= timedelta(minutes=1) else f"{ago.seconds} s"
    return replace(finding, cause=f"at {state.at:%H:%M} UTC ({shown} ago): {finding.cause}")


def _has_changed_since(facts: Facts, moment: datetime) -> bool:
    """Whether a worker has started or ended since, so that Ray's demand may have changed."""
    times = [time for pool in facts.pools for task in (*pool.tasks, *pool.ended) for time in (task.started, task.ended)]
    return any(time is not None and time > moment + CLOCK_STEPS for time in times)


def _not_published(facts: Facts) -> tuple[str, ...]:
    if facts.state is None and facts.is_head_up and not any("published" in reason for reason in facts.unread):
        why = "the head has published nothing yet, has an older RayDog, or provider.publish_events is false"
        return (f"Ray's demand, limits and back-offs: {why}",)
    if facts.doubt is not None:
        return (f"Ray's demand, limits and back-offs: {facts.doubt}",)
    if facts.state is not None and facts.state.demand is None and facts.is_head_up:
        return ("Ray's demand: its control store did not answer when the head published its state",)
    return ()
