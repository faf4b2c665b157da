"""The reason why a cluster has no head, as far as the platform still shows it. Changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.names import HEAD_GROUP, restart_number, token_of
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import TaskView, WorkRequirementView

_LIFETIME_TOLERANCE = timedelta(minutes=1)
"""A task may start this long after its work requirement was created, and time out as much later."""


def why_no_head(platform: Platform, cluster: Cluster) -> str | None:
    """Why a cluster has no head, and since when; None if the platform shows no cluster of its name.

    Raises:
        PlatformError: a call failed.
    """
    work = cluster.last()
    group = work.group(HEAD_GROUP) if work else None
    if work is None or group is None:
        return None
    tasks = [task for task in platform.group_tasks(group.id) if task.finished]
    head = max(tasks, key=lambda task: task.ended.timestamp() if task.ended else 0.0, default=None)
    token = token_of(group.worker_tag)
    restarts = max((restart_number(token, task.name) or 0 for task in tasks), default=0)
    reason = _reason(cluster, work, head) + (f"; it had replaced a lost head (number {restarts})" if restarts else "")
    return f"head node of cluster '{cluster.name}' not found: {reason}. {_remedy(work)}"


def why_head_ended(platform: Platform, cluster: Cluster) -> str:
    """Why the head ended while a command waited for it. Raises no error: the command has failed already."""
    try:
        reason = why_no_head(platform, cluster)
    except PlatformError as error:
        return f"the head of cluster '{cluster.name}' has ended, and the reason cannot be read: {error}"
    return reason or f"the head of cluster '{cluster.name}' has ended: nothing of the cluster is left"


def _reason(cluster: Cluster, work: WorkRequirementView, head: TaskView | None) -> str:
    deadline = cluster.deadline(work)
    if head is not None and head.ended and deadline and head.ended >= deadline - _LIFETIME_TOLERANCE:
        return f"the cluster's lifetime ended{_at(deadline)} (provider.cluster_lifetime_hours)"
    is_cancelled = head is None or head.abort_requested or head.status == "CANCELLED"
    if work.cancelling or (work.finished and is_cancelled):
        state = f"work requirement {work.status}{_at(work.status_changed)}"
        return f"the cluster was torn down ({state}), by a command, or after provider.idle_termination_minutes"
    if head is None:
        return "a `ray up` has begun to create the cluster, and not created its head"
    if head.status == "COMPLETED":
        return (
            f"the head's task ended without an error{_at(head.ended)}: Ray was stopped there, as by `ray exec --stop`"
        )
    details = "; ".join(head.errors)
    return (
        f"the head's task ended{_at(head.ended)} ({head.status}{': ' * bool(details)}{details}); "
        "its script is provider.ray_head_node_task_script"
    )


def _remedy(work: WorkRequirementView) -> str:
    if work.finished:
        return "`ray up` creates the cluster anew"
    return "`ray down` removes what is left, `ray up` creates the cluster anew"


def _at(moment: datetime | None) -> str:
    return f" at {moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
