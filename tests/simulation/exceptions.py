"""What the checks allow because of a setting of the platform, where no provider could do better, and why.

docs/differences.md shows `EXCEPTIONS` as a table. Imports neither the provider nor the checks.
"""

from __future__ import annotations

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
        "succeed, and an unlisted worker pool must end.",
        "Until then the platform shows a head that runs, and keeps the pool.",
    ),
    "lost_node_terminates_instance": Allowance(
        "The instance of a LOST platform node may live until YellowDog answers again.",
        "RayDog terminates it, which takes a call.",
    ),
}
"""By the name of the setting."""


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


def ends_without_machines(settings: Settings, requirement: RequirementRecord) -> bool:
    """Whether the pool of a compute requirement waits only until the platform detects the death of its instances."""
    is_terminated = requirement.entity.status is ComputeRequirementStatus.TERMINATED
    return is_terminated and settings.instance_death_noticed_seconds > 0
