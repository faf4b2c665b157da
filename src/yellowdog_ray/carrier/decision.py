"""Decides, by what the platform shows alone, whether a lost head is to be replaced. Reads; changes nothing.

A head is replaced only if its machine was lost. An end that somebody has requested, or that the head's own task has
come to, is final. Anything that cannot be read, or is unknown, is no reason to replace a head.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from yellowdog_ray.errors import NotFound
from yellowdog_ray.names import HEAD_GROUP, restart_number, token_of
from yellowdog_ray.node.kit import Manifest
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import PlatformNodeView, PoolView, TaskGroupView, TaskView, WorkRequirementView

MAX_RESTARTS = 3
"""How often the head of one incarnation is replaced: a cluster whose machines are lost again and again must end."""

LEAST_LIFETIME = timedelta(minutes=10)
"""The rest of the cluster's lifetime that makes a new head worth its start."""

_ERROR = re.compile(r"(?P<kind>\w+): .*?(?: \(exit code (?P<code>-?\d+)\))?", re.DOTALL)
"""An error of a task, as `platform.convert` writes it."""

_LOST = "ALLOCATION_LOST"
"""The kind of the error of a task whose platform node was lost (the SDK's `TaskErrorType`)."""

_LOSSES = {(_LOST, None), (_LOST, "143"), ("PROCESS_NON_ZERO_EXIT", "143")}
"""Kind and exit code of the errors of a lost machine. 143: SIGTERM has ended the task, such as by a shutdown."""

_SHUTDOWN_SECONDS = 15.0
"""From the end of such a task to that of its platform node, if the machine was shutting down. Below the seconds after
which the platform shuts an idle machine down (`cluster.pools.IDLE_NODE_TIMEOUT`)."""

_SECONDS_BY_NODE_STATUS = {"LOST": math.inf, "DEREGISTERED": _SHUTDOWN_SECONDS, "TERMINATED": _SHUTDOWN_SECONDS}
"""The same, by the status of an ended platform node (the SDK's `NodeStatus`). An idle machine is never LOST: it ends in
order."""

_CLOCK_SECONDS = 2.0
"""How far the platform's clocks may differ (docs/differences.md)."""

_LATE_SECONDS = 60.0
"""How much later than announced a provider may take a machine. A machine with an older spot notice has survived it."""

_LIVE_POOLS = {"PENDING", "CONFIGURING", "EMPTY", "IDLE", "RUNNING"}
"""The statuses of pools that may provision (the SDK's `WorkerPoolStatus`)."""


class Verdict(Enum):
    """The state of the last head, as the platform shows it."""

    LOST = "its machine was lost: it may be replaced now"
    LIVES = "its task has not ended"
    UNDECIDED = "its task has ended, and the platform does not show yet whether it may be replaced"
    FINAL = "it is not replaced"


@dataclass(frozen=True)
class Assessment:
    """A cluster and its last head, as read at one moment.

    Attributes:
        verdict: what the platform shows of it.
        reason: the verdict's reason, for people.
        work: the work requirement.
        pool: the head pool, while it is alive.
        last: the task of the last head.
        spares: further live tasks with the name of the last head.
        deadline: the end of the cluster's lifetime.
    """

    verdict: Verdict
    reason: str
    work: WorkRequirementView
    last: TaskView
    pool: PoolView | None = None
    spares: tuple[TaskView, ...] = ()
    deadline: datetime | None = None

    @property
    def token(self) -> str:
        """The incarnation's token."""
        return token_of(_group(self.work).worker_tag)

    @property
    def number(self) -> int:
        """The number of the last head: 0 for that of `ray up`."""
        return restart_number(self.token, self.last.name) or 0

    @property
    def group(self) -> TaskGroupView:
        """The head's task group."""
        return _group(self.work)


def assess(platform: Platform, manifest: Manifest, lost: Collection[str] = ()) -> Assessment:
    """Read the cluster, and judge its last head: four calls, or five.

    Args:
        platform: the platform.
        manifest: the cluster.
        lost: ids of tasks whose machines were judged lost before. The time of a machine's end is not read again for
            them: a carrier that terminates the machine changes it.

    Raises:
        PlatformError: a call failed; nothing is known.
    """
    work = platform.work_requirement(manifest.requirement_id)
    group = _group(work)
    own = platform.task(manifest.head_task_id)
    listed = {task.id: task for task in platform.group_tasks(group.id)}
    token = token_of(group.worker_tag)
    heads = [task for task in {**listed, own.id: own}.values() if restart_number(token, task.name) is not None]
    if not heads:
        raise NotFound(f"task {own.id} is no head of work requirement {work.id}")
    last, spares = _last(heads, token)
    read = Assessment(Verdict.FINAL, "", work, last, None, spares, _deadline(work, group))
    return _judged(platform, read, heads, lost)


def _group(work: WorkRequirementView) -> TaskGroupView:
    group = work.group(HEAD_GROUP)
    if group is None:
        raise NotFound(f"work requirement {work.id} has no task group for a head")
    return group


def _deadline(work: WorkRequirementView, group: TaskGroupView) -> datetime | None:
    return work.created + group.task_timeout if work.created and group.task_timeout else None


def _last(heads: Sequence[TaskView], token: str) -> tuple[TaskView, tuple[TaskView, ...]]:
    """The last head, and further live tasks of its name: a platform may accept one name twice.

    Of several the first by its id is the head, for every carrier alike; a live one rather than one that has ended.
    """
    newest = max(restart_number(token, task.name) or 0 for task in heads)
    same = [task for task in heads if restart_number(token, task.name) == newest]
    last = min(same, key=lambda task: (task.finished, task.started is None, task.id))
    return last, tuple(task for task in same if task is not last and not task.finished)


def _judged(platform: Platform, read: Assessment, heads: Sequence[TaskView], lost: Collection[str]) -> Assessment:
    pool = platform.find_pool(read.group.worker_tag)
    if reason := _end_of_cluster(read.work, pool):
        return _with(read, Verdict.FINAL, reason)
    if not read.last.finished and not read.last.abort_requested:
        return _with(read, Verdict.LIVES, f"task {read.last.name} is {read.last.status}", pool)
    verdict, reason = _end_of_head(platform, read.last, lost)
    if verdict is not Verdict.FINAL and (limit := _limit(platform, read)):
        return _with(read, Verdict.FINAL, limit)
    if verdict is Verdict.LOST and (doubt := _doubt(read, pool, heads)):
        return _with(read, Verdict.UNDECIDED, doubt, pool)
    return _with(read, verdict, reason, pool)


def _with(read: Assessment, verdict: Verdict, reason: str, pool: PoolView | None = None) -> Assessment:
    return Assessment(verdict, reason, read.work, read.last, pool, read.spares, read.deadline)


def _end_of_cluster(work: WorkRequirementView, pool: PoolView | None) -> str:
    """Why the cluster is ending or has ended; empty if it is not. Pools end first, so a head pool shows it early."""
    if work.finished or work.cancelling or work.status == "FINISHING":
        return f"the cluster is torn down (work requirement {work.status})"
    if pool is None or pool.configured:
        return "the cluster has no head pool that could provision a machine"
    if pool.finished:
        return f"the cluster ends (head pool {pool.status})"
    return ""


def _doubt(read: Assessment, pool: PoolView | None, heads: Sequence[TaskView]) -> str:
    """Why a lost head is not replaced yet; empty if nothing is in the way."""
    counts = read.group.counts
    if any(not task.finished for task in heads) or counts is None or counts.live:
        return "the platform still counts a live task of a head"
    if read.work.status != "RUNNING":
        return f"the work requirement is {read.work.status}"
    if pool is None or pool.status not in _LIVE_POOLS:
        return "the status of the head pool is not known"
    return ""


def _end_of_head(platform: Platform, head: TaskView, lost: Collection[str]) -> tuple[Verdict, str]:
    """Whether the machine of the last head was lost, and the reason."""
    if head.status != "FAILED" or head.abort_requested:
        return Verdict.FINAL, f"the head's task is {head.status}{', by an abort' * head.abort_requested}"
    errors = {match.group("kind", "code") if (match := _ERROR.fullmatch(text)) else None for text in head.errors}
    if not errors or not errors <= _LOSSES:
        return Verdict.FINAL, f"the head's task has failed: {'; '.join(head.errors) or 'without a reason'}"
    if head.id in lost or any(error is not None and error[0] == _LOST for error in errors):
        return Verdict.LOST, f"the machine of {head.name} was lost"
    return _end_of_machine(platform, head)


def _end_of_machine(platform: Platform, head: TaskView) -> tuple[Verdict, str]:
    """Whether the machine ended with a task that SIGTERM has ended, and not because it was idle after it."""
    other = "SIGTERM has ended the head's task, and its machine has not ended with it"
    if head.platform_node_id is None or head.ended is None:
        return Verdict.FINAL, other
    try:
        node = platform.platform_node(head.platform_node_id)
    except NotFound:
        return Verdict.FINAL, other
    limit = _SECONDS_BY_NODE_STATUS.get(node.status)
    if limit is None:
        return (
            Verdict.UNDECIDED,
            f"SIGTERM has ended the head's task, and its platform node is {node.status or 'there'}",
        )
    if node.status_changed is None:
        return Verdict.FINAL, other
    if _is_reclaimed(node, head.ended):
        limit = math.inf
    if -_CLOCK_SECONDS <= (node.status_changed - head.ended).total_seconds() < limit:
        return Verdict.LOST, f"the machine of {head.name} was shut down"
    return Verdict.FINAL, other


def _is_reclaimed(node: PlatformNodeView, task_ended: datetime) -> bool:
    """Whether a task has ended after a spot notice, and near the announced loss of its machine at the latest."""
    if node.spot_notice is None:
        return False
    longest = node.notice_period.total_seconds() + _LATE_SECONDS + _CLOCK_SECONDS
    return 0 <= (task_ended - node.spot_notice).total_seconds() <= longest


def _limit(platform: Platform, read: Assessment) -> str:
    if read.number >= MAX_RESTARTS:
        return f"the head was replaced {MAX_RESTARTS} times already"
    if read.deadline is None:
        return "the end of the cluster's lifetime is not known"
    if read.deadline - platform.clock.now() < LEAST_LIFETIME:
        return f"less than {LEAST_LIFETIME.total_seconds() / 60:g} minutes of the cluster's lifetime are left"
    return ""
