"""The events that services report, as one protocol: a service imports none of those that handle them.

`Services` (services.py) implements it and gives itself to the constructors. Imports records and messages only.
"""

from __future__ import annotations

from typing import Protocol

from yellowdog_local.messages import ActionEnd, AgentEvent, Registration
from yellowdog_local.state.records import InstanceRecord, PoolRecord, RequirementRecord


class Events(Protocol):
    """Every event. All methods are called under the platform's lock."""

    def agent_joining(self, token: str, registration: Registration) -> InstanceRecord | None:
        """An agent shows a token of no instance; returns its machine if a configured pool has this token."""

    def agent_registered(self, instance: InstanceRecord, registration: Registration) -> str:
        """An agent has registered; returns its platform node's id. Repeated calls return the same id."""

    def agent_reported(self, node_id: str, event: AgentEvent) -> None:
        """A task has started or finished on a platform node."""

    def agent_silent(self, node_id: str, seconds: float) -> None:
        """An agent has made no call for so many seconds."""

    def agent_returned(self, node_id: str) -> None:
        """A silent agent has made a call again."""

    def action_ended(self, node_id: str, end: ActionEnd) -> None:
        """A node action has ended on a platform node."""

    def instance_ending(self, instance: InstanceRecord, reason: str) -> None:
        """An instance is switched off, or its host has ended."""

    def instance_changed(self, requirement: RequirementRecord) -> None:
        """An instance of a requirement has changed its status."""

    def requirement_changed(self, requirement: RequirementRecord) -> None:
        """A requirement or one of its instances has changed its status."""

    def pool_target_requested(self, pool: PoolRecord, target: int) -> None:
        """A user requests another number of instances from the requirement of a worker pool."""

    def pool_shut_down(self, pool: PoolRecord) -> None:
        """A worker pool has been shut down."""
