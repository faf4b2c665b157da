"""What the checks allow because of a setting of the platform, where no provider could do better, and why.

docs/differences.md shows `EXCEPTIONS` as a table. Imports neither the provider nor the checks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from yellowdog_client.model import ComputeRequirementStatus

from yellowdog_local.state.records import RequirementRecord
from yellowdog_local.state.settings import Settings


@dataclass(frozen=True)
class Allowance:
    """One exception.

    Attributes:
        allowed: what the checks allow.
        reason: why no provider could do better.
    """

    allowed: str
    reason: str


EXCEPTIONS = {
    "autoscale_counts_booting_nodes": Allowance(
        "The pools of other clusters may change for two idle timeouts after their start.",
        "The platform itself provisions more platform nodes than it needs, and ends them when they are idle.",
    ),
    "allocation_latency_seconds": Allowance(
        "The tasks of other clusters start later, and an abort takes effect later, by the latency.",
        "An agent receives an abort only once its task has started.",
    ),
    "instance_death_noticed_seconds": Allowance(
        "The checks wait until the platform has detected that the instances have ended. After that `ray up` must "
        "succeed, and an unlisted worker pool and an idle cluster must have ended.",
        "Until then the platform shows a head that runs, and keeps the pool.",
    ),
    "lost_node_terminates_instance": Allowance(
        "The instance of a LOST platform node may live until YellowDog answers again.",
        "RayDog terminates it, which takes a call.",
    ),
    "max_nodes_limit": Allowance(
        "One tick may make 5 more platform calls per further worker pool that `max_workers` requires.",
        "Each worker pool takes a task group and tasks of its own, and is read on its own.",
    ),
}
"""By the name of the setting."""

CALLS_PER_POOL = 5
"""A launch reads and updates the work requirement, provisions a pool, limits its lifetime and adds tasks."""


def settling_seconds(settings: Settings, spare_seconds: float) -> float:
    """How long the pools of other clusters still change by themselves after their start.

    Args:
        settings: the platform's settings.
        spare_seconds: how long a platform node without a task may live.
    """
    spare = 0.0 if settings.autoscale_counts_booting_nodes else 2 * spare_seconds
    return spare + settings.allocation_latency_seconds


def abort_seconds(settings: Settings) -> float:
    """How much later than its task allows an abort takes effect."""
    return settings.allocation_latency_seconds


def unnoticed_seconds(settings: Settings) -> float:
    """How long a dead instance may look alive."""
    return settings.instance_death_noticed_seconds


def further_pool_calls(settings: Settings, max_workers: int) -> int:
    """How many more platform calls one tick may make because a node type needs several worker pools.

    Args:
        settings: the platform's settings.
        max_workers: the cluster's maximum number of workers.
    """
    if settings.max_nodes_limit is None:
        return 0
    return CALLS_PER_POOL * (math.ceil(max_workers / settings.max_nodes_limit) - 1)


def ends_without_machines(settings: Settings, requirement: RequirementRecord) -> bool:
    """Whether the pool of a compute requirement waits only until the platform detects the death of its instances."""
    is_terminated = requirement.entity.status is ComputeRequirementStatus.TERMINATED
    return is_terminated and settings.instance_death_noticed_seconds > 0
