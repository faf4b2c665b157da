"""Creating calls that may have been applied although they failed: finds the object by name before it creates again."""

from __future__ import annotations

from collections.abc import Sequence

from yellowdog_ray.errors import AlreadyExists, PlatformError, Refused, Unavailable
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.provisioning import PoolSpec
from yellowdog_ray.platform.types import PoolView, TaskGroupSpec, TaskGroupView, TaskSpec, TaskView

AMBIGUOUS = (AlreadyExists, Unavailable)
"""Failures after which the thing may exist: an earlier attempt took its name, or the response to a success was lost."""

MAY_EXIST = (*AMBIGUOUS, Refused)
"""Failures after which the thing is looked up by name. A platform may word a taken name in any way, and a repeated
call whose first attempt was applied finds its own name taken."""


def provision_pool(platform: Platform, spec: PoolSpec) -> PoolView:
    """Provision a pool, or find the one that an earlier attempt of this very call has provisioned."""
    try:
        return platform.provision_pool(spec)
    except MAY_EXIST:
        pool = platform.find_pool(spec.name)
        if pool is None:
            raise
        return pool


def add_task_group(platform: Platform, requirement_id: str, spec: TaskGroupSpec) -> TaskGroupView:
    """Add a task group, or find the one that an earlier attempt of this very call has added."""
    try:
        group = platform.add_task_group(requirement_id, spec).group(spec.name)
    except MAY_EXIST:
        group = platform.work_requirement(requirement_id).group(spec.name)
        if group is None:
            raise
    if group is None:
        raise PlatformError(f"the platform accepted task group '{spec.name}' but does not show it")
    return group


def submit_tasks(platform: Platform, group_id: str, specs: Sequence[TaskSpec]) -> list[TaskView]:
    """Submit tasks, or find those that an earlier attempt of this very call, or another process, has submitted.

    Their names are unique to this cluster, so tasks of these names are the requested ones.
    """
    try:
        return platform.submit_tasks(group_id, specs)
    except MAY_EXIST:
        wanted = {spec.name for spec in specs}
        # Several tasks have new random names: none has ended yet. A single one may be old.
        one = len(specs) == 1
        shown = platform.named_tasks(group_id, specs[0].name) if one else platform.live_group_tasks(group_id)
        submitted = {task.name: task for task in shown if task.name in wanted}  # a list may show a task twice
        if len(submitted) != len(specs):
            raise
        return list(submitted.values())
