"""All that YellowDog shows of one cluster at one moment, as far as it can be read: what `raydog why` judges.

Five calls, and at most one for each worker pool. A call that fails takes only its own part away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from yellowdog_ray.cluster.published import HeadState
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.inventory.account import token_of
from yellowdog_ray.inventory.head_report import age, read_state
from yellowdog_ray.inventory.idle_ends import MOST_AGE
from yellowdog_ray.inventory.status import NODE_TYPE_TAG
from yellowdog_ray.inventory.summaries import node_type_of
from yellowdog_ray.inventory.target import Found
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.platform.calls import PAGE_SIZE
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import (
    ENDED_BY_ITSELF,
    ComputeEntry,
    PlatformNodeView,
    PoolView,
    TaskGroupView,
    TaskPhase,
    TaskView,
    WorkRequirementView,
)

CLOCK_STEPS = timedelta(seconds=5)
"""Difference of two platform times that proves no order: its answers show whole seconds."""

LAST_ENDS = timedelta(hours=1)
"""How far back ended workers are read."""

T = TypeVar("T")


@dataclass(frozen=True)
class PoolFacts:
    """One task group with its tasks, its pool and its machines. None: not read, or not shown.

    Attributes:
        tasks: its live nodes.
        compute: its pool's compute requirement, if a living one is shown.
        pool: its pool, read only if it has no living compute requirement.
        nodes: its platform nodes that live or were lost.
        most_nodes: the limit of the namespace's policy, read only if machines are missing without a reason.
        head_tasks: all tasks of a head's group without a live one.
        ended: its workers that have ended by themselves lately, as far as they were read; the latest last.
    """

    group: TaskGroupView
    tasks: tuple[TaskView, ...]
    compute: ComputeEntry | None = None
    pool: PoolView | None = None
    nodes: tuple[PlatformNodeView, ...] | None = None
    most_nodes: int | None = None
    head_tasks: tuple[TaskView, ...] = ()
    ended: tuple[TaskView, ...] = ()
    is_pool_read: bool = False

    @property
    def name(self) -> str:
        """How a message names it."""
        return self.group.name if self.group.configured else self.group.worker_tag

    @property
    def node_type(self) -> str:
        """The node type, from a node's tags if it has any."""
        tags = (task.tags.get(NODE_TYPE_TAG) for task in (*self.tasks, *self.ended))
        return next(filter(None, tags), None) or node_type_of(self.group)

    @property
    def is_head(self) -> bool:
        """Whether it is the head's."""
        return self.group.name == HEAD_GROUP

    @property
    def waiting(self) -> list[TaskView]:
        """Its nodes without a machine."""
        return [task for task in self.tasks if task.phase is TaskPhase.WAITING and not task.abort_requested]

    @property
    def instances(self) -> int:
        """Its instances that start or run."""
        statuses = self.compute.instances if self.compute else {}
        return statuses.get("PENDING", 0) + statuses.get("RUNNING", 0)


@dataclass(frozen=True)
class Facts:
    """The state of a cluster, as far as it could be read.

    Attributes:
        now: the platform's time.
        pools: its task groups; the head's first.
        state: what its head has published last.
        unread: what could not be read, and why.
    """

    name: str
    namespace: str
    work: WorkRequirementView
    now: datetime
    pools: tuple[PoolFacts, ...] = ()
    state: HeadState | None = None
    unread: tuple[str, ...] = field(default=())

    @property
    def head(self) -> PoolFacts | None:
        """The head's task group."""
        return next((pool for pool in self.pools if pool.is_head), None)

    @property
    def is_head_up(self) -> bool:
        """Whether the head's task runs, so that its autoscaler can decide."""
        return self.head is not None and any(task.executing for task in self.head.tasks)

    @property
    def doubt(self) -> str | None:
        """Why the published state may not hold any more; None if it holds, or there is none."""
        if self.state is None or not self.is_head_up:
            return None
        starts = [task.started for task in self.head.tasks if task.executing and task.started] if self.head else []
        if any(self.state.started < start - CLOCK_STEPS for start in starts):
            return "the head's task has started again since the head published its state"
        if age(self.state, self.now) > MOST_AGE:
            minutes = age(self.state, self.now) // timedelta(minutes=1)
            return (
                f"the head published its state {minutes} min ago. Since then nothing has waited or run, or the "
                "autoscaler does not run, or provider.publish_events is false"
            )
        return None

    @property
    def workers(self) -> list[TaskView]:
        """The live workers, without those that are to end."""
        return [task for pool in self.pools if not pool.is_head for task in pool.tasks if not task.abort_requested]

    def workers_of(self, node_type: str) -> int:
        """The number of live workers of a type."""
        return sum(task.tags.get(NODE_TYPE_TAG) == node_type for task in self.workers)


class _Unread:
    """Collects what could not be read."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def read(self, subject: str, call: Callable[[], T]) -> T | None:
        """The result of a call; None if it fails."""
        try:
            return call()
        except PlatformError as error:
            self.reasons.append(f"{subject}: {error}")
            return None


def gather(found: Found) -> Facts:
    """Read what YellowDog shows of a cluster. Never fails: what cannot be read is named in the result."""
    platform, work, unread = found.platform, found.work, _Unread()
    if work.finished:
        return Facts(found.name, platform.namespace, work, platform.clock.now())
    with ThreadPoolExecutor(2) as background:
        listing: Future[Sequence[ComputeEntry] | None] = background.submit(
            unread.read,
            "the machines of all pools",
            lambda: platform.live_computes([platform.namespace], token_of(work)),
        )
        publication: Future[HeadState | None] = background.submit(
            unread.read, "what the head has published", lambda: read_state(found)
        )
        tasks = unread.read("the nodes", lambda: _tasks(platform, work))
        computes, state = listing.result(), publication.result()
    supply = {compute.name: compute for compute in computes} if computes is not None else None
    pools = _pools(platform, work, tasks, supply, unread) if tasks is not None else ()
    return Facts(
        name=found.name,
        namespace=platform.namespace,
        work=work,
        now=platform.clock.now(),
        pools=pools,
        state=state,
        unread=tuple(dict.fromkeys(unread.reasons)),
    )


def _tasks(platform: Platform, work: WorkRequirementView) -> list[TaskView]:
    """The live tasks, with those that have ended by themselves if one page surely holds all."""
    counts = [group.counts for group in work.groups]
    total = sum(each.live + each.ended if each else PAGE_SIZE for each in counts)
    return platform.tasks_not_stopped(work.id) if total < PAGE_SIZE else platform.live_tasks(work.id)


def _latest_ends(tasks: Iterable[TaskView], since: datetime) -> tuple[TaskView, ...]:
    """The tasks that have ended by themselves since a moment, in the order of their ends."""
    ends = [
        (task.ended, task.name, task)
        for task in tasks
        if task.ended and task.ended >= since and task.status in ENDED_BY_ITSELF and not task.abort_requested
    ]
    return tuple(task for *_, task in sorted(ends, key=lambda end: end[:2]))


def _pools(
    platform: Platform,
    work: WorkRequirementView,
    tasks: Iterable[TaskView],
    supply: Mapping[str, ComputeEntry] | None,
    unread: _Unread,
) -> tuple[PoolFacts, ...]:
    ours = [task for task in tasks if task.tags]
    since = platform.clock.now() - LAST_ENDS
    drafts = [
        PoolFacts(
            group,
            tuple(task for task in ours if task.group_id == group.id and not task.finished),
            (supply or {}).get(group.worker_tag) if not group.configured else None,
            ended=_latest_ends((task for task in ours if task.group_id == group.id), since),
        )
        for group in work.groups
    ]
    short = next((draft.group.id for draft in drafts if supply is not None and _lacks_machines(draft)), None)

    def complete(draft: PoolFacts) -> PoolFacts:
        """One call at most: the one that may explain most."""
        group, tags = draft.group, draft.group.placement.worker_tags
        subject = f"worker pool {draft.name}"
        if draft.is_head and not draft.tasks:
            ended = unread.read("the head's task", lambda: platform.group_tasks(group.id))
            return replace(draft, head_tasks=tuple(ended or ()))
        if not draft.tasks:
            if draft.ended or not (group.counts and group.counts.ended):
                return draft
            tasks = unread.read(f"ended nodes of {subject}", lambda: platform.ended_tasks(group.id, since, PAGE_SIZE))
            return replace(draft, ended=_latest_ends((task for task in tasks or () if task.tags), since))
        if not group.configured and draft.compute is None and supply is not None:
            found = unread.read(subject, lambda: (platform.find_pool(group.worker_tag),))
            pool = found[0] if found else None
            return replace(draft, pool=pool, is_pool_read=found is not None)
        if group.id == short:
            most = unread.read("the namespace's policy", lambda: platform.most_nodes(platform.namespace))
            return replace(draft, most_nodes=most)
        nodes = unread.read(f"the machines of {subject}", lambda: platform.known_nodes(tags[0])) if tags else None
        return replace(draft, nodes=tuple(nodes) if nodes is not None else None)

    return tuple(run_concurrently(complete, drafts))


def _lacks_machines(draft: PoolFacts) -> bool:
    """Whether a pool has fewer machines than nodes although no source reports why."""
    compute = draft.compute
    if compute is None or not draft.waiting or compute.messages or compute.exhausted:
        return False
    return draft.instances < len(draft.tasks)
