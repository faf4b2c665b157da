"""Creating calls that may be repeated: what an earlier try has made is found by its name instead of made twice."""

from __future__ import annotations

from collections.abc import Sequence

from yellowdog_ray.errors import AlreadyExists, PlatformError
from yellowdog_ray.platform import Platform
from yellowdog_ray.views import PoolSpec, PoolView, TaskGroupSpec, TaskGroupView, TaskSpec, TaskView


def make_pool(platform: Platform, spec: PoolSpec) -> PoolView:
    """Provision a pool, or find the one that an earlier try of this very call has made."""
    try:
        return platform.create_pool(spec)
    except AlreadyExists:
        pool = platform.find_pool(spec.name)
        if pool is None:
            raise
        return pool


def add_task_group(platform: Platform, requirement_id: str, spec: TaskGroupSpec) -> TaskGroupView:
    """Add a task group, or find the one that an earlier try of this very call has added."""
    try:
        work = platform.add_task_group(requirement_id, spec)
    except AlreadyExists:
        work = platform.work_requirement(requirement_id)
    group = work.group(spec.name)
    if group is None:
        raise PlatformError(f"the platform took task group '{spec.name}' but does not show it")
    return group


def add_tasks(platform: Platform, group_id: str, specs: Sequence[TaskSpec]) -> list[TaskView]:
    """Add tasks, or find those that an earlier try of this very call, or another process, has added."""
    try:
        return platform.add_tasks(group_id, specs)
    except AlreadyExists:
        # The names are our own, so whatever bears them is what we asked for: a retried request, for one.
        wanted = {spec.name for spec in specs}
        added = [task for task in platform.group_tasks(group_id) if task.name in wanted]
        if len(added) != len(specs):
            raise
        return added
